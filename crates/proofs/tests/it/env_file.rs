//! A `.env` that a person has edited: its last line may have no line break, and its lines may have those of Windows.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

#[test]
fn settings_of_an_edited_file_are_read_and_kept() {
    let checkout = TempDir::new().expect("a folder");
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let copied = Command::new("cp").arg("-r").arg(repository.join("deploy")).arg(checkout.path()).status();
    assert!(copied.expect("cp").success());
    let file = checkout.path().join(".env");
    fs::write(&file, "SEARCH_PORT=9007\r\nPOSTGRES_PASSWORD=\r\nCART_PORT=9005").expect("the file");
    for _ in 0..2 {
        let run = Command::new("bash").arg(checkout.path().join("deploy/secrets")).status();
        assert!(run.expect("bash").success());
    }
    let text = fs::read_to_string(&file).expect("the file");
    assert!(text.starts_with("SEARCH_PORT=9007\r\nCART_PORT=9005\n") && text.ends_with('\n'), "{text}");
    let passwords: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("POSTGRES_PASSWORD=")).collect();
    assert!(matches!(passwords[..], [password] if password.len() == 48), "{text}");

    let script = r#". "$1/deploy/lib.sh"; load_settings "$1/.env" "$1/last"; echo "$SEARCH_PORT $CART_PORT $LAST""#;
    fs::write(checkout.path().join("last"), "LAST=7").expect("the file");
    let mut show = Command::new("bash");
    for name in ["SEARCH_PORT", "CART_PORT", "LAST"] {
        show.env_remove(name);
    }
    let shown = show.args(["-euc", script, "bash"]).arg(checkout.path()).output().expect("bash");
    assert_eq!(String::from_utf8_lossy(&shown.stdout), "9007 9005 7\n", "{}", String::from_utf8_lossy(&shown.stderr));
}

use super::*;

fn pairs(words: Vec<Word>) -> Vec<(String, String)> {
    words.into_iter().map(|word| (word.word, word.stem)).collect()
}

fn owned<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.map(|(word, stem)| (word.to_owned(), stem.to_owned())).into()
}

#[test]
fn text_becomes_words_and_stems() {
    let expected =
        owned([("cafelamps", "cafelamp"), ("cafe", "cafe"), ("lamps", "lamp"), ("running", "run"), ("e27", "e27")]);
    assert_eq!(pairs(words("Café-LAMPS, (running)  \"E27\"!")), expected);
    assert_eq!(pairs(words("Smørrebrød Łódź")), owned([("smorrebrod", "smorrebrod"), ("lodz", "lodz")]));
    assert_eq!(pairs(words(" *:~^ && || \\ ")), []);
}

#[test]
fn query_word_with_signs_replaces_its_plain_word() {
    for (query, expected) in [
        ("C++", vec!["c++"]),
        ("learn C# fast", vec!["learn", "c#", "fast"]),
        (".net", vec![".net"]),
        ("asp.net", vec!["asp", "net"]),
        ("AT&T", vec!["at&t"]),
        ("at & t", vec!["at", "t"]),
        ("usb 3,0", vec!["usb", "3.0"]),
        ("3.5mm", vec!["3.5mm"]),
        ("10,000", vec!["10000"]),
        ("C", vec!["c"]),
        ("保护壳 case", vec!["保护壳", "case"]),
    ] {
        let words: Vec<_> = query_words(query).into_iter().map(|asked| asked.word.word).collect();
        assert_eq!(words, expected, "{query}");
    }
}

#[test]
fn joined_words_of_a_query_are_known_to_each_of_their_parts() {
    for (query, expected) in [
        ("Wi-Fi", "wi{wifi*} fi{wifi*}"),
        ("t shirt, red", "t{tshirt} shirt{tshirt} red{}"),
        ("power bank red", "power{powerbank} bank{bankred* powerbank} red{bankred*}"),
        ("red t-shirt", "red{} t{tshirt*} shirt{tshirt*}"),
        ("ax-47-c", "ax{ax47 ax47c*} 47{47c* ax47 ax47c*} c{47c* ax47c*}"),
        // Two letters may be the beginning of too many words.
        ("t s", "t{ts} s{ts}"),
        ("AT&T", "at&t{}"),
        ("the lamp", "the{} lamp{}"),
        ("3.5 mm", "3.5{3.5mm*} mm{3.5mm*}"),
    ] {
        let joined = |joined: &Joined| format!("{}{}", joined.word.word, if joined.is_last { "*" } else { "" });
        let show = |asked: &QueryWord| {
            let joined: Vec<_> = asked.joined.iter().map(joined).collect();
            format!("{}{{{}}}", asked.word.word, joined.join(" "))
        };
        assert_eq!(query_words(query).iter().map(show).collect::<Vec<_>>().join(" "), expected);
    }
}

#[test]
fn stop_words_are_required_only_in_a_query_without_other_words() {
    assert_eq!(required(&query_words("the lamp of")), [false, true, false]);
    assert_eq!(required(&query_words("to be")), [true, true]);
    assert_eq!(required(&[]), [true; 0]);
}

#[test]
fn matching_text_shares_a_beginning_with_the_word() {
    for (query, text) in [
        ("lamps", "lamp"),
        ("dying", "die"),
        ("skies", "sky"),
        ("straße", "strasse"),
        ("re\u{301}sume\u{301}", "Résumé"),
        ("C++", "Learn C++ in 21 days"),
        (".net", "ASP.NET"),
        ("AT&T", "AT & T"),
    ] {
        let asked = query_words(query);
        let text = words(text);
        assert!(text.iter().any(|word| word.stem == asked[0].word.stem), "the test is about nothing: {query}");
        assert!(beginnings(&text).contains(asked[0].word.beginning()), "{asked:?} {text:?}");
    }
    let text = words("Übergröße 智能手机保护壳 ASP.NET");
    for prefix in ["u", "ub", "ube", "uber", "ubergrosse", ".", ".n", "保护壳", "保护", "壳", "智", "智能手机保护壳"]
    {
        let asked = Word { word: prefix.to_owned(), stem: prefix.to_owned(), is_run: !prefix.is_ascii() };
        assert!(beginnings(&text).contains(asked.beginning_as_prefix()), "{prefix}");
    }
}

#[test]
fn words_with_signs_and_runs_know_their_bytes() {
    let text = "C++ 智能é";
    let places: Vec<_> = located_words(text).into_iter().map(|place| (place.word.word, &text[place.bytes])).collect();
    let expected = [("c++", "C++"), ("c", "C"), ("智能", "智能"), ("e", "é")];
    assert_eq!(places, expected.map(|(word, bytes)| (word.to_owned(), bytes)));
    assert_eq!(located_words(text)[2].letters, [4..7, 7..10]);
}

/// A change of how texts are split requires a higher `VERSION` in `index/schema.rs`, so that every index is rebuilt,
/// and then the new number here.
#[test]
fn index_version_changes_with_the_text_analysis() {
    let sample = "Résumé re\u{301}sume\u{301} Größe running C++ ASP.NET AT&T Wi-Fi t shirt a\u{200b}b 智能手机 コーヒー กาแฟ हिन्दी Ёлка 한국 ﬁ ½ x2² 10,000 mAh 3.5 mm 哈利·波特 №5 1½ १५ USB 3.0";
    let mut found = String::new();
    for word in words(sample) {
        found += &format!("{} {} {};", word.word, word.stem, word.is_run);
    }
    let hash = found.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    assert_eq!((crate::index::schema::VERSION, hash), (5, 3_450_104_217), "{found}");
}

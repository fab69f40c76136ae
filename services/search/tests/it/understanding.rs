//! Queries as people type them: with or without accents, in scripts without spaces, with signs, long numbers, and words
//! that no product has. One word in several spellings: joined, hyphenated or separate, and with letters that look different
//! but mean the same.

use serde_json::Value;

use crate::support::{Found, Product, Search, Shop, TestResponse};

const NUMBER: &str = "AX471100000000000000000000000000000000000000000000000000000000000009Z7";

async fn search_for(names: &[&str]) -> (Shop, Search) {
    let shop = Shop::start().await;
    let products: Vec<_> = names.iter().map(|name| Product { name, ..Product::default() }).collect();
    shop.create(&products).await;
    let search = Search::of(&shop).await;
    (shop, search)
}

/// Does the same, with a category whose name has none of the words in the queries.
async fn search_beyond_categories(names: &[&str]) -> (Shop, Search) {
    let (shop, search) = search_for(names).await;
    shop.put("/categories/1", &serde_json::json!({ "name": "Shelf" })).await;
    search.until_current(&shop).await;
    (shop, search)
}

/// Asserts that each query finds exactly these products, in any order.
async fn find(search: &Search, expected: &[(&str, &[&str])]) {
    for (q, names) in expected {
        let answer = search.find(q).await;
        assert_eq!(sorted(&answer), *names, "{q}: {}", answer.text());
        assert_eq!(answer.json()["match"], "all", "{q}");
        assert_eq!(answer.json()["corrected"], false, "{q}");
    }
}

fn sorted(answer: &TestResponse) -> Vec<String> {
    let mut names = answer.names();
    names.sort();
    names
}

fn html(answer: &TestResponse) -> Value {
    answer.json()["hits"][0]["name_html"].clone()
}

#[tokio::test]
async fn composed_decomposed_and_missing_accents_find_each_other() {
    let (_shop, search) = search_for(&["Re\u{301}sume\u{301} paper", "Résumé folder", "Ёлка", "ﬁne Ｐｅｎ"]).await;
    let both: &[&str] = &["Re\u{301}sume\u{301} paper", "Résumé folder"];
    find(
        &search,
        &[
            ("résumé", both),
            ("re\u{301}sume\u{301}", both),
            ("RÉSUMÉ", both),
            ("resume", both),
            ("resumes", both),
            ("resum", both),
            ("resume folder", &both[1..]),
            ("елка", &["Ёлка"]),
            ("fine pen", &["ﬁne Ｐｅｎ"]),
        ],
    )
    .await;
    assert_eq!(html(&search.find("resume paper").await), "<b>Re\u{301}sume\u{301}</b> <b>paper</b>");
}

#[tokio::test]
async fn text_in_a_script_without_spaces_is_found_by_any_part() {
    let (_shop, search) =
        search_for(&["智能手机保护壳", "保护手机", "ガラスのコップ", "กาแฟเย็น", "हिन्दी किताब", "한국어 사전"]).await;
    find(
        &search,
        &[
            ("保护壳", &["智能手机保护壳"]),
            ("手机", &["保护手机", "智能手机保护壳"]),
            ("壳", &["智能手机保护壳"]),
            ("智", &["智能手机保护壳"]),
            ("手机 保护壳", &["智能手机保护壳"]),
            ("ｶﾞﾗｽ", &["ガラスのコップ"]),
            ("コップ", &["ガラスのコップ"]),
            ("カラス", &[]),
            ("เย็น", &["กาแฟเย็น"]),
            ("हिन्दी", &["हिन्दी किताब"]),
            ("हन्द", &[]),
            ("한국", &["한국어 사전"]),
        ],
    )
    .await;
    assert_eq!(html(&search.find("保护壳").await), "智能手机<b>保护壳</b>");
    assert_eq!(html(&search.find("เย็น").await), "กาแฟ<b>เย็น</b>");
}

#[tokio::test]
async fn category_in_a_script_without_spaces_is_found_by_part_of_its_name() {
    let (shop, search) = search_for(&["Thing"]).await;
    shop.put("/categories/1", &serde_json::json!({ "name": "手机配件" })).await;
    search.until_found("配件", &["Thing"]).await;
}

#[tokio::test]
async fn word_with_signs_is_a_separate_word() {
    let names = ["C++ Primer", "C# Primer", "Cable Primer", "ASP.NET Primer", "Net Primer", "AT&T Phone", "At Home"];
    let (shop, search) = search_for(&names).await;
    // The new name of the category does not begin with a "c".
    shop.put("/categories/1", &serde_json::json!({ "name": "Shelf" })).await;
    search.until_current(&shop).await;
    find(
        &search,
        &[
            ("C++", &["C++ Primer"]),
            ("c+", &["C++ Primer"]),
            ("C++ primer", &["C++ Primer"]),
            ("c#", &["C# Primer"]),
            ("C＃", &["C# Primer"]),
            ("c primer", &["C# Primer", "C++ Primer"]),
            ("c", &["C# Primer", "C++ Primer", "Cable Primer"]),
            (".NET", &["ASP.NET Primer"]),
            ("net", &["ASP.NET Primer", "Net Primer"]),
            ("asp.net", &["ASP.NET Primer"]),
            ("AT&T", &["AT&T Phone"]),
            ("R&D", &[]),
            ("F#", &[]),
        ],
    )
    .await;
    assert_eq!(html(&search.find("C++").await), "<b>C++</b> Primer");
    assert_eq!(html(&search.find("AT&T").await), "<b>AT&amp;T</b> Phone");
    // An extra sign in an ordinary word is a typo.
    let corrected = search.find("cable+").await;
    assert_eq!((corrected.names(), &corrected.json()["corrected"]), (vec!["Cable Primer".to_owned()], &true.into()));
}

#[tokio::test]
async fn long_article_number_is_found_exactly() {
    assert_eq!(NUMBER.len(), 70);
    let other = format!("{}8", &NUMBER[..69]);
    let longest = "9".repeat(150);
    let (_shop, search) = search_for(&[NUMBER, &other, &format!("Screw {longest}")]).await;
    find(
        &search,
        &[
            (NUMBER, &[NUMBER]),
            (&NUMBER.to_lowercase(), &[NUMBER]),
            (&other, &[&other]),
            (&NUMBER[..69], &[NUMBER, &other]),
            (&longest, &[&format!("Screw {longest}")]),
            (&format!("{longest} screw"), &[&format!("Screw {longest}")]),
        ],
    )
    .await;
}

#[tokio::test]
async fn word_that_no_product_has_leaves_the_best_partial_matches() {
    let names = ["Red Shoes", "Red Shoes for Rain", "Red Hat", "Blue Shoes", "Mug", "保护壳 Red"];
    let (_shop, search) = search_for(&names).await;
    for (q, expected) in [
        ("red shoes cheap", vec!["Red Shoes", "Red Shoes for Rain"]),
        ("cheap red shoes", vec!["Red Shoes", "Red Shoes for Rain"]),
        ("shoes red qqq", vec!["Red Shoes", "Red Shoes for Rain"]),
        ("保护壳 red cheap", vec!["保护壳 Red"]),
        ("cheap mug", vec!["Mug"]),
    ] {
        let answer = search.find(q).await;
        assert_eq!(answer.names(), expected, "{q}");
        assert_eq!((answer.total(), &answer.json()["match"]), (expected.len() as u64, &"partial".into()), "{q}");
    }
    // Less than half of the words is not a match.
    for q in ["cheap", "red cheap quick", "cheap quick"] {
        let answer = search.find(q).await;
        assert_eq!((answer.names(), &answer.json()["match"]), (vec![], &"all".into()), "{q}");
    }
    // One wrong letter in a word that counts.
    for q in ["red shoos cheap", "cheap shoos red", "shoos for rain cheap"] {
        let page = search.find(q).await.json();
        assert_eq!((&page["match"], &page["corrected"]), (&"partial".into(), &true.into()), "{q}: {page}");
    }
    let names: Vec<_> =
        search.pages(&[("q", "red shoos cheap"), ("limit", "1")]).await.iter().flat_map(Found::names).collect();
    assert_eq!(names, ["Red Shoes", "Red Shoes for Rain"]);
    let html = search.find("red shoos cheap").await.json()["hits"][0]["name_html"].clone();
    assert_eq!(html, "<b>Red</b> <b>Shoes</b>");
    // A product with all words and a typo takes precedence over partial matches.
    let corrected = search.find("red shoos rain").await.json();
    assert_eq!((&corrected["match"], &corrected["corrected"]), (&"all".into(), &true.into()), "{corrected}");
    let html = search.find("cheap red shoes").await.json()["hits"][0]["name_html"].clone();
    assert_eq!(html, "<b>Red</b> <b>Shoes</b>");
    // The second page continues with the same kind of matches.
    let first = search.ask(&[("q", "red shoes cheap"), ("limit", "1")]).await.expect(200).json();
    let cursor = first["next_cursor"].as_str().expect("a next page");
    let second = search.ask(&[("q", "red shoes cheap"), ("limit", "1"), ("cursor", cursor)]).await.expect(200);
    assert_eq!((second.names(), &second.json()["match"]), (vec!["Red Shoes for Rain".to_owned()], &"partial".into()));
}

#[tokio::test]
async fn decimal_number_is_found_as_one_number() {
    let names =
        ["USB 3.0 Hub", "USB 2.0 Hub, 3 Ports", "Bottle 1,5 l", "Flask 1.5 l", "Set of 1, 50 pieces", "Bag 0,500 kg"];
    let (_shop, search) = search_beyond_categories(&names).await;
    all_find(&search, &["usb 3.0", "usb 3,0", "USB3.0", "usb 3.0 hub"], &["USB 3.0 Hub"]).await;
    all_find(&search, &["usb 2.0"], &["USB 2.0 Hub, 3 Ports"]).await;
    all_find(&search, &["1.5", "1,5", "١٫٥", "1.5 l", "1,5l"], &["Bottle 1,5 l", "Flask 1.5 l"]).await;
    all_find(&search, &["0.500", "0,5"], &["Bag 0,500 kg"]).await;
    // The parts of a number are found as well.
    all_find(&search, &["usb 3 hub"], &["USB 2.0 Hub, 3 Ports", "USB 3.0 Hub"]).await;
    assert_eq!(html(&search.find("3.0 usb").await), "<b>USB</b> <b>3.0</b> Hub");
}

#[tokio::test]
async fn korean_compound_is_found_by_its_parts() {
    let names = ["스마트폰케이스", "가죽 케이스를", "LG전자 15인치 모니터", "5인치 자"];
    let (_shop, search) = search_beyond_categories(&names).await;
    all_find(&search, &["케이스"], &["가죽 케이스를", "스마트폰케이스"]).await;
    all_find(&search, &["스마트폰 케이스", "케이스 스마트폰", "스마트폰케이스", "폰케이스"], &["스마트폰케이스"]).await;
    all_find(&search, &["전자 모니터", "lg전자"], &["LG전자 15인치 모니터"]).await;
    // The digits before a unit are not a part of it.
    all_find(&search, &["5인치"], &["5인치 자"]).await;
    assert_eq!(html(&search.find("스마트폰 케이스").await), "<b>스마트폰케이스</b>");
}

/// Asserts that every spelling finds exactly these products, by all of its words and without a correction.
async fn all_find(search: &Search, spellings: &[&str], names: &[&str]) {
    for q in spellings {
        let answer = search.find(q).await;
        let mut found = answer.names();
        found.sort();
        assert_eq!(found, names, "{q}: {}", answer.text());
        assert_eq!((&answer.json()["match"], &answer.json()["corrected"]), (&"all".into(), &false.into()), "{q}");
    }
}

#[tokio::test]
async fn joined_hyphenated_and_separate_spellings_find_each_other() {
    let (_shop, search) = search_beyond_categories(&[
        "Wi-Fi Router", "Wifi Antenna", "Node.js Handbook", "NodeJS Primer", "USB-C Cable", "USB C Plug", "Usbc Hub",
        "T-Shirt blue", "T Shirt green", "Tshirt red", "Women's Boots", "Bolt AX-47-11", "Nut 47.5", "Power Bank grey",
        "Powerbank black", "Car seat for a pet", "Carpet", "Car Tires", "가죽 지갑", "천지갑",
    ])
    .await;
    all_find(&search, &["wifi", "Wi-Fi", "wi fi", "WiFi", "wi‑fi", "wi-f"], &["Wi-Fi Router", "Wifi Antenna"]).await;
    all_find(&search, &["wifi router", "router wi-fi"], &["Wi-Fi Router"]).await;
    all_find(&search, &["nodejs", "node.js", "Node-JS", "node js"], &["Node.js Handbook", "NodeJS Primer"]).await;
    all_find(&search, &["usbc", "usb-c", "USB C", "usb/c"], &["USB C Plug", "USB-C Cable", "Usbc Hub"]).await;
    let shirts = ["T Shirt green", "T-Shirt blue", "Tshirt red"];
    all_find(&search, &["tshirt", "t-shirt", "t shirt", "T-Shirts", "tshirts"], &shirts).await;
    all_find(&search, &["red t-shirt", "t shirt red", "tshirt red"], &["Tshirt red"]).await;
    all_find(&search, &["women's", "womens", "women’s boots", "womens boots"], &["Women's Boots"]).await;
    all_find(&search, &["AX4711", "ax-47-11", "ax47-11", "ax 47 11"], &["Bolt AX-47-11"]).await;
    all_find(&search, &["power bank", "powerbank", "Powerbanks", "power ban"], &["Power Bank grey", "Powerbank black"])
        .await;
    all_find(&search, &["grey powerbank", "powerbank grey"], &["Power Bank grey"]).await;
    all_find(&search, &["black power bank", "power bank black"], &["Powerbank black"]).await;
    all_find(&search, &["가죽지갑"], &["가죽 지갑"]).await;
    // Two words are first of all two words, and a pair of a name matches only as a whole.
    assert_eq!(search.find("car pet").await.names(), ["Car seat for a pet", "Carpet"]);
    assert_eq!(search.find("cart").await.json()["corrected"], true);
    // Digits that a dot separates are a different number without the dot.
    all_find(&search, &["475"], &[]).await;
    let html = search.find("wifi router").await.json()["hits"][0]["name_html"].clone();
    assert_eq!(html, "<b>Wi-Fi</b> <b>Router</b>");
}

#[tokio::test]
async fn numbers_find_their_units_and_names_their_parts() {
    let (_shop, search) = search_beyond_categories(&[
        "10000 mAh Power Bank", "10000mAh Battery", "10,000 mAh Charger", "3.5 mm Jack", "3.5mm Plug",
        "Box of 3 green", "哈利·波特 手办", "哈利波特 书", "スマート・フォン",
    ])
    .await;
    let charge = ["10,000 mAh Charger", "10000 mAh Power Bank", "10000mAh Battery"];
    all_find(&search, &["10000mAh", "10000 mah", "10,000 mAh", "10,000mah"], &charge).await;
    all_find(&search, &["3.5mm", "3.5 mm"], &["3.5 mm Jack", "3.5mm Plug"]).await;
    all_find(&search, &["哈利波特", "哈利·波特"], &["哈利·波特 手办", "哈利波特 书"]).await;
    all_find(&search, &["スマートフォン"], &["スマート・フォン"]).await;
    let html = search.find("10000mah").await.json()["hits"].to_string();
    assert!(html.contains("<b>10,000 mAh</b>"), "{html}");
}

#[tokio::test]
async fn letters_with_the_same_meaning_find_each_other() {
    let (_shop, search) = search_beyond_categories(&[
        "Café Crème", "USB Hub", "Große Straße", "10 kΩ Resistor", "ﬁne ﬂour", "Iğdır Isparta", "Müsli Bowl", "ΟΔΟΣ",
        "super\u{200b}market", "Chanel № 5", "Chanel No. 5", "Pipe 1½", "Tube 1 1/2", "Ring 11/2", "Lamp ۱۵",
        "Desk 15", "کتابی", "كتابي",
    ])
    .await;
    all_find(&search, &["cafe creme", "CAFÉ", "cafe\u{301}", "ca\u{200d}fe"], &["Café Crème"]).await;
    all_find(&search, &["ＵＳＢ", "ｕｓｂ　ｈｕｂ", "\u{202e}usb"], &["USB Hub"]).await;
    all_find(&search, &["grosse strasse", "GROSSE STRASSE", "große straße", "STRAẞE"], &["Große Straße"]).await;
    // The sign for ohm, and the Greek letter.
    all_find(&search, &["kΩ", "k\u{2126}", "kω"], &["10 kΩ Resistor"]).await;
    all_find(&search, &["fine flour", "ﬁne"], &["ﬁne ﬂour"]).await;
    all_find(&search, &["igdir", "IĞDIR", "ığdır", "İSPARTA", "ısparta"], &["Iğdır Isparta"]).await;
    all_find(&search, &["musli", "MÜSLI", "mu\u{308}sli"], &["Müsli Bowl"]).await;
    all_find(&search, &["οδος", "οδοσ", "ΟΔΟΣ"], &["ΟΔΟΣ"]).await;
    all_find(&search, &["supermarket"], &["super\u{200b}market"]).await;
    all_find(&search, &["№5", "№ 5", "No. 5", "no 5"], &["Chanel No. 5", "Chanel № 5"]).await;
    all_find(&search, &["1½", "1 1/2", "1 ½"], &["Pipe 1½", "Tube 1 1/2"]).await;
    all_find(&search, &["15", "١٥", "۱۵", "१५"], &["Desk 15", "Lamp ۱۵"]).await;
    all_find(&search, &["کتابی", "كتابي", "كتابى"], &["كتابي", "کتابی"]).await;
    // "ue" does not fold like "ü": it has one letter too many.
    assert_eq!(search.find("muesli").await.json()["corrected"], true);
}

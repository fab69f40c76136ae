//! One word in several spellings: joined, hyphenated or separate, and with letters that look different but mean the
//! same.

use crate::support::{Found, Product, Search, Shop};

async fn search_for(names: &[&str]) -> (Shop, Search) {
    let shop = Shop::start().await;
    let products: Vec<_> = names.iter().map(|name| Product { name, ..Product::default() }).collect();
    shop.create(&products).await;
    // The new name of the category has none of the words in the queries.
    shop.put("/categories/1", &serde_json::json!({ "name": "Shelf" })).await;
    let search = Search::of(&shop).await;
    search.until_current(&shop).await;
    (shop, search)
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
    let (_shop, search) = search_for(&[
        "Wi-Fi Router", "Wifi Antenna", "Node.js Handbook", "NodeJS Primer", "USB-C Cable", "USB C Plug", "Usbc Hub",
        "T-Shirt blue", "T Shirt green", "Tshirt red", "Women's Boots", "Bolt AX-47-11", "Nut 47.5",
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
    // Digits that a dot separates are a different number without the dot.
    all_find(&search, &["475"], &[]).await;
    let html = search.find("wifi router").await.json()["hits"][0]["name_html"].clone();
    assert_eq!(html, "<b>Wi-Fi</b> <b>Router</b>");
}

#[tokio::test]
async fn letters_with_the_same_meaning_find_each_other() {
    let (_shop, search) = search_for(&[
        "Café Crème", "USB Hub", "Große Straße", "10 kΩ Resistor", "ﬁne ﬂour", "Iğdır Isparta", "Müsli Bowl", "ΟΔΟΣ",
        "super\u{200b}market",
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
    // "ue" does not fold like "ü": it has one letter too many.
    assert_eq!(search.find("muesli").await.json()["corrected"], true);
}

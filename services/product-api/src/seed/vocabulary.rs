//! The words of generated products, grouped by category and material.
//!
//! Everything is written as in running text; the generator capitalises names. A change here changes the products of a
//! fresh database, and leaves filled databases unchanged.

/// Things of one category that come in the same materials, and the sentences about them.
pub(super) struct Shelf {
    pub(super) category_id: i64,
    pub(super) qualities: Words,
    pub(super) materials: Words,
    /// A thing, and the lowest and highest price for it in whole units of money.
    pub(super) things: &'static [(&'static str, u64, u64)],
    pub(super) variants: Words,
    pub(super) openings: Words,
    pub(super) uses: Words,
    pub(super) details: Words,
}

type Words = &'static [&'static str];

/// Makers and collections, the first word of a name.
pub(super) const SERIES: Words = &[
    "Saltmarsh", "Millrace", "Fenwater", "Larkrise", "Stonebeck", "Hazelmoor", "Rookwood", "Eastlight", "Tidewrack",
    "Winterwheat", "Longfurrow", "Greywether", "Applegarth", "Driftyard", "Thistledown", "Coldharbour", "Marrowstone",
    "Oxbow Lane", "Quillfeather", "Hobblebush", "Undercliff", "Sparrowgate", "Ninefields", "Wrenfold",
];

/// Last sentences. Not every product has one.
pub(super) const CLOSINGS: Words = &[
    "Packed in card, without plastic.",
    "A quiet favourite of our own staff.",
    "Back in stock after a long wait.",
    "Send it back within sixty days if it is not for you.",
    "A good present for people who say they need nothing.",
    "We have sold it since our first year.",
];

const OPENINGS: Words = &[
    "{A quality} {thing} in {material}, made for {use}.",
    "This {thing} was drawn with one thing in mind: {use}. The {material} wears in rather than out.",
    "{Material} where it matters and nothing where it does not: {a quality} {thing} for {use}.",
    "For {use}: {a quality} {thing} with plenty of {material} and no fuss.",
    "We tried eleven of these before we chose this {quality} {thing}. The {material} made the difference, above all for {use}.",
    "Somebody had to make {a material} {thing} for {use}. This one is {quality}, too.",
];

const GUIDES: Words = &[
    "{A quality} {material} {thing} for {use}, in nineteen short chapters.",
    "Everything from the first question to the last footnote: the {quality} {material} {thing} that {use} have been waiting for.",
    "Half {thing}, half memoir: one author, one {material} obsession, and good company for {use}.",
    "The new edition of our best-selling {material} {thing}, still {quality}, and longer by forty pages. For {use}.",
];

const FICTION: Words = &[
    "{A quality} {thing} set in and around {a material}, made for {use}.",
    "{A material}, a stranger and a secret: {a quality} {thing} for {use}.",
    "A first novel that begins as {a thing} about {a material} and ends as something else. Best for {use}.",
    "Three generations, one {material}, and {a quality} {thing} that is perfect for {use}.",
];

const COLOURS: Words =
    &["Moss", "Slate", "Rust", "Oatmeal", "Ink Blue", "Charcoal", "Ochre", "Natural", "Bottle Green", "Brick"];

const SIZES: Words = &["Small", "Medium", "Large", "Extra Large", "Natural", "Dark"];

const SETS: Words = &["Single", "Set of Two", "Set of Four", "Set of Six", "Seconds", "Gift Box"];

const FORMATS: Words = &["Hardback", "Paperback", "Second Edition", "Large Print", "Revised Edition", "Clothbound"];

const WORLDS: Words = &["Woodland", "Harbour", "Circus", "Night Sky", "Farmyard", "Polar", "Jungle", "Deep Sea"];

pub(super) const SHELVES: &[Shelf] = &[
    // Outdoor & Camping
    Shelf {
        category_id: 1,
        qualities: &["ultralight", "packable", "all-season", "windproof", "quick-drying", "rugged", "double-stitched"],
        materials: &["ripstop nylon", "waxed cotton", "recycled polyester", "canvas", "hemp canvas", "coated silk-nylon"],
        things: &[("tent", 120, 520), ("rucksack", 60, 260), ("tarp", 30, 140), ("dry bag", 9, 38), ("rain poncho", 35, 120), ("hammock", 40, 150), ("bivouac bag", 45, 190), ("stuff sack", 8, 30)],
        variants: COLOURS,
        openings: OPENINGS,
        uses: &["wet weekends in the hills", "long-distance walkers", "a first night outdoors with children", "paddling trips", "bothies and mountain huts", "winter camps"],
        details: &["The seams are taped by hand and tested under a hose.", "It packs into its own pocket.", "Weighs less than the water you will carry.", "Reflective loops make it easy to find after dark.", "Every buckle can be replaced in the field."],
    },
    // Outdoor & Camping, continued
    Shelf {
        category_id: 1,
        qualities: &["folding", "compact", "nesting", "featherweight", "scratch-resistant", "windproof"],
        materials: &["titanium", "hard-anodised aluminium", "stainless steel", "enamelled steel"],
        things: &[("cooking pot", 18, 75), ("camp kettle", 18, 70), ("gas stove", 25, 110), ("frying pan", 16, 60), ("mug", 8, 32), ("lantern", 18, 80), ("plate", 6, 22), ("fire pit", 40, 170)],
        variants: SIZES,
        openings: OPENINGS,
        uses: &["festival fields", "breakfast on a summit", "canoe camps", "cooks who travel light", "groups of six", "coffee before dawn"],
        details: &["The handles fold flat and lock open.", "Gas cartridge and lighter fit inside.", "Soot wipes off with sand and water.", "Marks on the inside show every hundred millilitres.", "It rings like a bell when supper is ready."],
    },
    // Kitchen & Table
    Shelf {
        category_id: 2,
        qualities: &["heavy-based", "deep", "oven-safe", "everyday", "generous", "long-handled", "slow-cooking"],
        materials: &["cast iron", "brushed steel", "copper", "enamelled iron", "carbon steel"],
        things: &[("saucepan", 30, 150), ("casserole", 45, 240), ("frying pan", 25, 130), ("roasting tin", 18, 85), ("stockpot", 35, 170), ("griddle", 25, 90), ("milk pan", 18, 65), ("baking tray", 9, 35)],
        variants: SIZES,
        openings: OPENINGS,
        uses: &["Sunday lunches", "slow stews and quick suppers", "people who bake on weekdays", "small kitchens", "soups, sauces and jam", "cooks who hate washing up"],
        details: &["Goes from the hob to the table without apology.", "The handle stays cool and the base stays flat.", "Works on every kind of hob, induction included.", "It nests inside the next size up.", "The lid returns every drop to the pot."],
    },
    // Kitchen & Table, continued
    Shelf {
        category_id: 2,
        qualities: &["hand-finished", "stackable", "everyday", "well-balanced", "speckled", "rustic", "thin-rimmed"],
        materials: &["stoneware", "olive wood", "beech", "porcelain", "recycled glass", "acacia wood"],
        things: &[("serving board", 18, 80), ("mixing bowl", 14, 60), ("butter dish", 12, 42), ("serving platter", 20, 95), ("salad bowl", 18, 70), ("pepper mill", 22, 85), ("egg cup", 5, 18), ("sugar bowl", 9, 32)],
        variants: SETS,
        openings: OPENINGS,
        uses: &["long tables with many guests", "breakfast in bed", "cheese and late conversation", "picnics on the floor", "first flats", "everyday meals that deserve better"],
        details: &["No two are quite alike.", "Stains wipe off and scratches become character.", "Sits flat, pours clean, stacks small.", "Finished with food-safe oil and beeswax.", "A thumb fits exactly where it should."],
    },
    // Audio
    Shelf {
        category_id: 3,
        qualities: &["warm-sounding", "compact", "reference", "low-noise", "hand-built", "two-channel", "understated"],
        materials: &["walnut", "brushed aluminium", "oak", "black lacquer", "cherry wood"],
        things: &[("bookshelf speaker", 90, 650), ("headphone amplifier", 80, 420), ("tabletop radio", 45, 220), ("turntable", 140, 780), ("subwoofer", 130, 560), ("phono preamplifier", 50, 260), ("record cabinet", 90, 380), ("integrated amplifier", 180, 790)],
        variants: COLOURS,
        openings: OPENINGS,
        uses: &["small rooms", "late listening", "vinyl in the evening", "kitchens with character", "listeners who turn it up", "old recordings"],
        details: &["Voices stand in front of the music, where they belong.", "All sockets are on the back, and labelled.", "The volume knob is weighted and a pleasure to turn.", "Standby draws less than a third of a watt.", "Measured, adjusted and signed at a bench."],
    },
    // Audio, continued
    Shelf {
        category_id: 3,
        qualities: &["wireless", "weatherproof", "pocket-sized", "noise-cancelling", "rechargeable", "shock-proof"],
        materials: &["recycled resin", "wool felt", "bamboo", "soft-touch rubber", "woven nylon"],
        things: &[("portable speaker", 25, 160), ("headset", 30, 150), ("soundbar", 90, 380), ("earphone case", 9, 32), ("shower radio", 20, 70), ("clip-on microphone", 25, 130), ("travel speaker", 20, 95)],
        variants: COLOURS,
        openings: OPENINGS,
        uses: &["podcasts and spoken word", "kitchens and bathrooms", "calls on the move", "beaches and back gardens", "children who know what they like", "commutes"],
        details: &["Pairs in two seconds and then stays out of the way.", "Sixteen hours from one charge.", "Rinses clean under the tap.", "Buttons can be found by touch.", "The battery can be replaced with one screw."],
    },
    // Books
    Shelf {
        category_id: 4,
        qualities: &["practical", "illustrated", "pocket", "complete", "annotated", "curious", "beginner's", "seasonal"],
        materials: &["hedgerow", "sourdough", "coastal path", "night sky", "timber frame", "river", "mushroom", "railway", "weather", "typography", "beekeeping", "mountain"],
        things: &[("handbook", 14, 36), ("almanac", 12, 28), ("atlas", 25, 70), ("companion", 11, 26), ("field guide", 13, 32), ("history", 12, 38), ("sketchbook", 10, 24), ("primer", 11, 30)],
        variants: FORMATS,
        openings: GUIDES,
        uses: &["impatient beginners", "readers with ten minutes", "armchair travellers", "teachers and grandparents", "people who already own too many books", "curious teenagers", "weekend experts"],
        details: &["With maps, an index, and margins wide enough for arguments.", "The chapter on mistakes is the longest and the best.", "Drawings on every spread explain what words cannot.", "Sewn binding, cream paper, a ribbon.", "Proofread by somebody who actually does it."],
    },
    // Books, continued
    Shelf {
        category_id: 4,
        qualities: &["quiet", "crooked", "forgotten", "winter", "unlikely", "midnight", "borrowed", "second-best"],
        materials: &["harbour", "orchard", "lighthouse", "post office", "ferry", "boarding-house", "observatory", "canal", "bakery", "border"],
        things: &[("mystery", 8, 19), ("love story", 8, 18), ("ghost story", 9, 20), ("chronicle", 11, 26), ("comedy", 8, 18), ("saga", 12, 28), ("fable", 7, 16), ("thriller", 8, 19)],
        variants: FORMATS,
        openings: FICTION,
        uses: &["long train journeys", "one rainy weekend", "reading aloud", "the second half of a holiday", "nights when sleep is late", "book clubs that disagree"],
        details: &["New in translation, with an afterword by the author.", "The last line changes the first.", "Shorter than you wish.", "Nobody is murdered, though some deserve it.", "The dog survives."],
    },
    // Home Office
    Shelf {
        category_id: 5,
        qualities: &["height-adjustable", "slim", "solid", "modular", "quiet", "narrow", "reclaimed"],
        materials: &["ash", "walnut", "oak", "birch plywood", "powder-coated steel"],
        things: &[("desk", 150, 780), ("monitor riser", 30, 120), ("laptop stand", 20, 90), ("filing cabinet", 90, 360), ("bookcase", 80, 420), ("desk shelf", 25, 95), ("footrest", 22, 80), ("standing stool", 70, 320)],
        variants: SIZES,
        openings: OPENINGS,
        uses: &["a corner of the bedroom", "days full of calls", "tired shoulders", "shared tables", "late shifts", "people who think standing up"],
        details: &["Assembled in six minutes with the key in the box.", "Cables disappear into a channel along the back.", "Rubber feet keep it where you put it.", "Wipes clean of ink and coffee.", "Tested for twenty thousand lifts."],
    },
    // Home Office, continued
    Shelf {
        category_id: 5,
        qualities: &["tidy", "soft", "weighted", "refillable", "understated", "everyday"],
        materials: &["wool felt", "cork", "linen board", "brass", "vegetable-tanned leather", "recycled card"],
        things: &[("pen tray", 9, 36), ("desk pad", 18, 60), ("document holder", 12, 48), ("filing box", 10, 40), ("bookend", 12, 44), ("magazine rack", 14, 52), ("card index", 9, 34), ("pencil cup", 7, 26)],
        variants: COLOURS,
        openings: OPENINGS,
        uses: &["tidy minds and untidy desks", "letters that need answering", "drawers that never close", "a first job", "the pens you actually use", "Monday mornings"],
        details: &["It does one thing, and that quietly.", "The corners are folded, not glued.", "Fits A4 and everything smaller.", "Ages into something better.", "Holds more than it seems to."],
    },
    // Garden
    Shelf {
        category_id: 6,
        qualities: &["long-handled", "forged", "sturdy", "rust-free", "lightweight", "narrow-bladed", "traditional"],
        materials: &["stainless steel", "carbon steel", "ash and steel", "bronze", "galvanised steel"],
        things: &[("trowel", 9, 32), ("garden fork", 25, 80), ("hoe", 18, 60), ("rake", 18, 65), ("watering can", 18, 85), ("pruning saw", 16, 58), ("spade", 28, 95), ("bulb planter", 14, 40)],
        variants: SIZES,
        openings: OPENINGS,
        uses: &["heavy clay", "allotments", "gardeners with sore knees", "narrow beds", "stony ground", "the first warm Saturday"],
        details: &["The edge can be sharpened with an ordinary file.", "Robins have been seen to approve.", "Handle and head are joined for good.", "It hangs from a leather loop.", "Oiled once in the workshop and once a year by you."],
    },
    // Garden, continued
    Shelf {
        category_id: 6,
        qualities: &["weathered", "frost-proof", "self-watering", "folding", "hand-made", "low", "tall"],
        materials: &["cedar", "terracotta", "cast iron", "woven willow", "oak", "zinc"],
        things: &[("planter", 15, 120), ("plant stand", 18, 78), ("window box", 16, 70), ("trellis", 18, 90), ("bird table", 22, 95), ("bench", 120, 560), ("potting table", 90, 340), ("obelisk", 25, 110)],
        variants: SIZES,
        openings: OPENINGS,
        uses: &["balconies and back doors", "herbs by the kitchen", "shady corners", "tomatoes and other ambitions", "roses that climb", "cups of tea outdoors"],
        details: &["Left outside all year, it only gets better looking.", "Drainage holes are drilled, and plugs are included.", "Slots together without screws.", "Heavy enough to ignore the wind.", "Sparrows move in within a week."],
    },
    // Cycling
    Shelf {
        category_id: 7,
        qualities: &["waterproof", "reflective", "all-weather", "touring", "roll-top", "breathable", "understated"],
        materials: &["recycled nylon", "waxed canvas", "merino blend", "recycled sailcloth", "welded polyester"],
        things: &[("pannier", 40, 160), ("handlebar bag", 30, 110), ("saddlebag", 18, 75), ("rain cape", 40, 130), ("cycling jersey", 45, 140), ("pair of overshoes", 22, 70), ("hip bag", 20, 75), ("frame bag", 28, 95)],
        variants: COLOURS,
        openings: OPENINGS,
        uses: &["daily commuters", "winter miles", "rides that end after dark", "loaded tours", "steep cities", "long Sundays"],
        details: &["Visible from two hundred metres.", "Rinse it, hang it up, ride again tomorrow.", "Tested through one whole northern winter.", "Zips can be worked with gloves on.", "Nothing flaps."],
    },
    // Cycling, continued
    Shelf {
        category_id: 7,
        qualities: &["lightweight", "quick-release", "rust-proof", "polished", "adjustable", "silent"],
        materials: &["forged aluminium", "stainless steel", "carbon fibre", "chromed steel", "titanium"],
        things: &[("multitool", 14, 58), ("bottle cage", 9, 40), ("pair of pedals", 30, 150), ("handlebar", 25, 140), ("seat post", 25, 150), ("luggage rack", 30, 110), ("bell", 8, 36), ("kickstand", 12, 45)],
        variants: SIZES,
        openings: OPENINGS,
        uses: &["gravel and forest tracks", "riders who mend their own", "old frames and new legs", "tandems and cargo bikes", "bicycles that live outdoors", "the spring overhaul"],
        details: &["No rattle, not even on cobbles.", "Bolts are stainless and take the key you already own.", "Fits and comes off in a minute.", "Weighed on our own scales.", "Threads are greased before it leaves us."],
    },
    // Toys & Games
    Shelf {
        category_id: 8,
        qualities: &["first", "giant", "magnetic", "hand-painted", "noisy", "rolling", "wobbly"],
        materials: &["beech", "birch plywood", "maple", "limewood", "cork"],
        things: &[("building set", 22, 110), ("train set", 30, 140), ("dolls' house", 60, 260), ("spinning top", 6, 20), ("pull-along dog", 14, 45), ("marble track", 25, 95), ("shape sorter", 16, 48), ("toy kitchen", 70, 240)],
        variants: WORLDS,
        openings: OPENINGS,
        uses: &["small hands", "rainy afternoons", "siblings of different ages", "quiet hours", "birthday tables", "grandparents on the floor"],
        details: &["Edges are rounded and colours are safe to chew.", "Every piece has a place in the box.", "No batteries, no screen, no glitter.", "Lost a piece? We post single ones.", "Survives the stairs."],
    },
    // Toys & Games, continued
    Shelf {
        category_id: 8,
        qualities: &["cooperative", "pocket-sized", "quick", "strategic", "silly", "four-player"],
        materials: &["recycled card", "linen-finish card", "wool felt", "birch plywood"],
        things: &[("card game", 9, 28), ("board game", 22, 65), ("jigsaw puzzle", 12, 48), ("memory game", 10, 30), ("dice game", 9, 26), ("quiz", 10, 32), ("storytelling game", 12, 34)],
        variants: WORLDS,
        openings: OPENINGS,
        uses: &["four players and a grandparent", "long train journeys", "bad losers", "evenings without a screen", "classrooms", "two people and a pot of tea"],
        details: &["The rules fit on one side of a postcard.", "A round takes as long as an egg.", "Different every time we tried it.", "Nobody has to sit out.", "The box is no bigger than its contents."],
    },
    // Bed & Bath
    Shelf {
        category_id: 9,
        qualities: &["stone-washed", "feather-light", "breathable", "undyed", "brushed", "crisp", "quilted"],
        materials: &["linen", "organic cotton", "flannel", "hemp", "mulberry silk", "cotton percale"],
        things: &[("duvet cover", 60, 240), ("pillowcase", 14, 60), ("fitted sheet", 28, 120), ("bedspread", 60, 230), ("cushion", 16, 70), ("nightshirt", 35, 110), ("sleep mask", 9, 34), ("mattress cover", 30, 110)],
        variants: COLOURS,
        openings: OPENINGS,
        uses: &["hot summers", "light sleepers", "guest rooms", "lazy mornings", "afternoon naps", "people who hate ironing"],
        details: &["Softer with every wash, and meant to be washed often.", "Buttons are made of shell.", "Dries on the line in an hour.", "Certified free of harmful dyes.", "Shrinks by nothing you would notice."],
    },
    // Bed & Bath, continued
    Shelf {
        category_id: 9,
        qualities: &["heavyweight", "quick-drying", "waffle-weave", "thick", "soft", "generous"],
        materials: &["organic cotton", "lambswool", "bamboo terry", "alpaca wool", "linen terry"],
        things: &[("bath towel", 16, 58), ("throw", 40, 190), ("bathrobe", 50, 160), ("bath mat", 15, 60), ("blanket", 45, 220), ("hand towel", 8, 28), ("hooded towel", 18, 55), ("sauna towel", 24, 75)],
        variants: COLOURS,
        openings: OPENINGS,
        uses: &["cold feet", "families that share one bathroom", "the walk back from the lake", "sofas in November", "wet hair", "very long baths"],
        details: &["Woven on old looms that nobody wants to hurry.", "A loop at each end, so it always hangs.", "Drinks quickly and dries before the evening.", "Washes at sixty degrees.", "Big enough for two, if they get along."],
    },
    // Coffee & Tea
    Shelf {
        category_id: 10,
        qualities: &["hand-thrown", "single-cup", "thin-walled", "heat-proof", "speckled", "stackable", "double-walled"],
        materials: &["stoneware", "porcelain", "borosilicate glass", "enamelled steel"],
        things: &[("teapot", 25, 110), ("coffee dripper", 15, 55), ("mug", 9, 32), ("milk jug", 12, 42), ("tasting cup", 8, 26), ("tea bowl", 10, 38), ("sugar bowl", 9, 30), ("coffee server", 18, 65)],
        variants: SETS,
        openings: OPENINGS,
        uses: &["the first cup of the day", "long afternoons", "green tea and patience", "guests who stay", "office kitchens", "rainy Sundays"],
        details: &["Pours without a drip, which we checked.", "The lid does not fall off at the last drop.", "The glaze was mixed for this piece alone.", "Keeps its heat through a long chapter.", "Sits well in both hands."],
    },
    // Coffee & Tea, continued
    Shelf {
        category_id: 10,
        qualities: &["precise", "travel", "insulated", "slow-pouring", "airtight", "quiet", "long-lived"],
        materials: &["brushed steel", "copper", "cast iron", "walnut and steel", "anodised aluminium"],
        things: &[("kettle", 35, 160), ("hand grinder", 45, 210), ("moka pot", 22, 80), ("tea caddy", 12, 45), ("coffee canister", 14, 55), ("travel press", 22, 70), ("coffee scale", 28, 110), ("tea infuser", 6, 24)],
        variants: SIZES,
        openings: OPENINGS,
        uses: &["people who weigh their beans", "picnics with ambition", "early trains", "kitchens without space", "strong opinions about water", "coffee at the desk"],
        details: &["Comes apart for cleaning without tools.", "Every seal and spring can be bought singly.", "Marks inside show one, two and four cups.", "Two clicks finer, and the morning is saved.", "Fits the cup holder of most bicycles."],
    },
    // Tools & Workshop
    Shelf {
        category_id: 11,
        qualities: &["hardened", "fine-toothed", "traditional", "low-angle", "right-handed", "razor-sharp", "well-balanced"],
        materials: &["carbon steel", "forged steel", "cast steel", "laminated steel"],
        things: &[("chisel", 15, 70), ("hand plane", 45, 260), ("pull saw", 20, 110), ("drawknife", 30, 120), ("spokeshave", 28, 110), ("carving knife", 14, 52), ("wood rasp", 12, 48), ("cabinet scraper", 8, 30)],
        variants: SIZES,
        openings: OPENINGS,
        uses: &["fine joinery", "old houses", "a first workshop", "green wood and spoons", "apprentices", "doors that stick"],
        details: &["Ground, hardened and checked with a file.", "Holds its edge through a whole door.", "Oiled paper keeps it bright until you open the box.", "The back is flat when it arrives.", "Balanced so that the wrist does less."],
    },
    // Tools & Workshop, continued
    Shelf {
        category_id: 11,
        qualities: &["heavy-duty", "compact", "adjustable", "ratcheting", "foldable", "no-nonsense"],
        materials: &["chrome vanadium", "cast iron", "beech", "brass and beech", "powder-coated steel"],
        things: &[("clamp", 9, 48), ("mallet", 16, 58), ("spirit level", 14, 75), ("tool chest", 60, 320), ("marking gauge", 18, 68), ("bench vice", 50, 280), ("trestle", 25, 90), ("try square", 14, 52)],
        variants: SIZES,
        openings: OPENINGS,
        uses: &["flat-pack evenings", "bicycles and lawnmowers", "garages and cellars", "straight shelves", "borrowed vans", "jobs that need a third hand"],
        details: &["The scale is engraved, not printed.", "It can be taken apart to the last screw.", "Jaws are lined, so nothing is marked.", "Screws run smoothly under load.", "Heavier than it looks, as it should be."],
    },
    // Travel & Bags
    Shelf {
        category_id: 12,
        qualities: &["carry-on", "hard-wearing", "expandable", "water-repellent", "lightweight", "lockable", "foldable"],
        materials: &["waxed canvas", "recycled sailcloth", "ballistic nylon", "cotton twill", "coated linen"],
        things: &[("weekend bag", 70, 290), ("daypack", 45, 170), ("garment bag", 40, 160), ("tote", 18, 90), ("holdall", 50, 210), ("camera bag", 45, 210), ("wash bag", 18, 75), ("trolley case", 90, 420)],
        variants: COLOURS,
        openings: OPENINGS,
        uses: &["night trains", "three days in one bag", "tight connections", "people who pack at midnight", "long-haul flights", "commutes by ferry"],
        details: &["Stands up by itself while you search for the ticket.", "A hidden pocket lies against the back.", "Fits the cabin rules of most airlines.", "Stitched twice where straps meet cloth.", "The lining is pale, so you can find things."],
    },
    // Travel & Bags, continued
    Shelf {
        category_id: 12,
        qualities: &["slim", "hand-stitched", "pocket", "soft", "zipped", "plain"],
        materials: &["bridle leather", "cork fabric", "wool felt", "grained leather", "organic canvas"],
        things: &[("wallet", 22, 95), ("luggage tag", 7, 24), ("document pouch", 14, 56), ("passport cover", 12, 45), ("key case", 10, 38), ("cable roll", 14, 48), ("coin purse", 9, 34), ("spectacle case", 12, 42)],
        variants: COLOURS,
        openings: OPENINGS,
        uses: &["travellers with too many cards", "border crossings", "front pockets", "things that get lost", "business trips and muddy ones", "old friends going away"],
        details: &["Darkens where you hold it.", "The thread is waxed and the edges are burnished.", "Holds less than you own and all that you need.", "Opens with one hand.", "Free initials on request."],
    },
];

//! The texts that are parsed, the texts that are not, and the way back from every spelling.

use proptest::prelude::*;
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberType};

use super::*;

fn region(code: &str) -> Region {
    code.parse().expect("a region")
}

#[track_caller]
fn reads(text: &str, code: &str, expected: &str) {
    assert_eq!(
        parse(text, &region(code)).as_ref().map(E164::as_str),
        Ok(expected),
        "{text:?} in {code}"
    );
}

#[track_caller]
fn refuses(text: &str, code: &str, expected: NotLookedUp) {
    assert_eq!(
        parse(text, &region(code)),
        Err(expected),
        "{text:?} in {code}"
    );
}

#[test]
fn japanese_numbers_are_read_however_they_are_written() {
    for text in [
        "0312345678",
        "03-1234-5678",
        "(03)1234-5678",
        "03(1234)5678",
        "03 1234 5678",
        "03.1234.5678",
        "+81312345678",
        "+81 3-1234-5678",
        "+81 (0)3-1234-5678",
        "+81(0)312345678",
        "81312345678",
        "0081312345678",
        "010-81-3-1234-5678",
        "０３－１２３４－５６７８",
        "０３ー１２３４ー５６７８",
        "03‐1234‐5678",
        "03–1234—5678",
        "03−1234−5678",
        "（０３）１２３４－５６７８",
        "\u{202a}03-1234-5678\u{202c}",
        "03\u{a0}1234\u{3000}5678",
        "03-1234-5678 x12",
        "03-1234-5678 ext. 12",
        "03-1234-5678 内線12",
        "03-1234-5678（内線 12）",
        "03-1234-5678#12",
        "tel:03-1234-5678",
        "TEL 03-1234-5678",
        "1840312345678",
        "186-03-1234-5678",
        "0451-23-4567"
            .replace("0451-23-4567", "03-1234-5678")
            .as_str(),
    ] {
        reads(text, "JP", "+81312345678");
    }
    reads("090-1234-5678", "JP", "+819012345678");
    reads("0451-23-4567", "JP", "+81451234567");
    reads("0120-123-456", "JP", "+81120123456");
    reads("0570-012-345", "JP", "+81570012345");
    reads("050-3123-4567", "JP", "+815031234567");
}

#[test]
fn numbers_of_ranges_that_the_metadata_does_not_know_are_not_lost() {
    // The platform's own samples use these numbers (call_analysis_completed.json).
    reads("09000000000", "JP", "+819000000000");
    reads("05000000000", "JP", "+815000000000");
    reads("0300000000", "JP", "+81300000000");
    reads("+1 555 555 0100", "JP", "+15555550100");
}

#[test]
fn foreign_numbers_keep_their_country() {
    reads("+1 (415) 555-0132", "JP", "+14155550132");
    reads("010 1 415 555 0132", "JP", "+14155550132");
    reads("0014155550132", "JP", "+14155550132");
    reads("+44 (0)20 7183 8750", "JP", "+442071838750");
    reads("030/123456", "DE", "+4930123456");
    reads("1-800-FLOWERS", "US", "+18003569377");
    reads("4002", "NU", "+6834002");
}

#[test]
fn codes_before_a_number_and_what_programs_make_of_one_are_no_part_of_it() {
    for (text, code, number) in [
        ("0033010 1 415 555 0132", "JP", "+14155550132"),
        ("001-010-1-415-555-0132", "JP", "+14155550132"),
        ("0036 03-1234-5678", "JP", "+81312345678"),
        ("122 03 1234 5678", "JP", "+81312345678"),
        ("186+81312345678", "JP", "+81312345678"),
        ("010+14155550132", "JP", "+14155550132"),
        ("0312345678.0", "JP", "+81312345678"),
        ("81312345678.0", "JP", "+81312345678"),
        ("*31#030123456", "DE", "+4930123456"),
        ("#31# 030 123456", "DE", "+4930123456"),
        ("*67 (415) 555-0132", "US", "+14155550132"),
        ("141 020 7183 8750", "GB", "+442071838750"),
        ("1470 020 7183 8750", "GB", "+442071838750"),
        ("3651 01 42 68 53 00", "FR", "+33142685300"),
        ("067 912 345 678", "ES", "+34912345678"),
        // Australia, and not a carrier.
        ("0061 2 9374 4000", "JP", "+61293744000"),
        ("0033 1 42 68 53 00", "JP", "+33142685300"),
    ] {
        reads(text, code, number);
    }
}

#[test]
fn the_main_line_stands_before_its_direct_dialling() {
    for (text, code, main) in [
        ("089 123456-0", "DE", "+4989123456"),
        ("+49 89 123458-0", "DE", "+4989123458"),
        ("089 12 34 57 - 0", "DE", "+4989123457"),
        ("01 5123401-0", "AT", "+4315123401"),
        ("01/5123404-10 DW", "AT", "+4315123404"),
    ] {
        let main: E164 = main.parse().unwrap();
        let numbers = numbers_in(text, &region(code));
        assert!(numbers.contains(&main), "{text}: {numbers:?}");
    }
    let whole = numbers_in("03-1234-5600", &region("JP"));
    assert_eq!(whole.len(), 1);
}

#[test]
fn what_is_no_customers_number_is_named_for_what_it_is() {
    use NotLookedUp::*;
    for (text, code, expected) in [
        ("", "JP", Empty),
        (" \u{200b}\u{3000}", "JP", Empty),
        ("null", "JP", Empty),
        ("Anonymous", "JP", Anonymous),
        ("ANONYMOUS ", "JP", Anonymous),
        ("(null)", "JP", Empty),
        ("[object Object]", "JP", Empty),
        ("ヒツウチ", "JP", Anonymous),
        ("非通知(184)", "JP", Anonymous),
        ("Unbekannte Nummer", "DE", Anonymous),
        ("Numéro privé", "FR", Anonymous),
        ("발신번호 표시제한", "KR", Anonymous),
        ("非通知", "JP", Anonymous),
        ("Unknown", "JP", Anonymous),
        ("No Caller ID", "US", Anonymous),
        ("110", "JP", Emergency),
        ("１１０", "JP", Emergency),
        ("1-1-9", "JP", Emergency),
        ("118", "JP", Emergency),
        ("184110", "JP", Emergency),
        ("+81 110", "JP", Emergency),
        ("911", "US", Emergency),
        ("112", "DE", Emergency),
        ("999", "GB", Emergency),
        ("104", "JP", Service),
        ("177", "JP", Service),
        ("#9110", "JP", Service),
        ("＃７１１９", "JP", Service),
        ("*21*0312345678#", "JP", Service),
        ("411", "US", Service),
        ("201", "JP", Extension),
        ("1001", "JP", Extension),
        ("201", "DE", Extension),
        ("20123", "DE", Extension),
        ("内線 12", "JP", Extension),
        ("5678901", "US", NoAreaCode),
        ("+999 123 456", "JP", NoSuchCountry),
        ("hello", "JP", NotANumber),
        ("a@b.example", "JP", NotANumber),
        ("---", "JP", NotANumber),
        ("0000000000", "JP", Invalid),
        ("000000000000", "JP", Invalid),
        ("1234567890", "JP", Invalid),
        ("123456789012345678", "JP", Invalid),
        ("12345678901234", "JP", Invalid),
        ("1234567890", "US", Invalid),
    ] {
        refuses(text, code, expected);
    }
    refuses(&"1".repeat(100_000), "JP", NotANumber);
}

#[test]
fn the_table_of_the_docs_is_what_the_code_does() {
    let table = include_str!("../../docs/numbers.md");
    let mut rows = 0;
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let (text, rest) = row[3..].split_once("` | ").expect("a text");
        let mut cells = rest.split(" | ");
        let home = region(cells.next().expect("a region"));
        let expected = cells.next().expect("a reading");
        let read = match parse(text, &home) {
            Ok(number) => number.to_string(),
            Err(reason) => reason.code().to_owned(),
        };
        assert_eq!(read, expected, "{row}");
        rows += 1;
    }
    assert!(rows > 50, "{rows} rows");
}

#[test]
fn every_reason_has_a_sentence_and_no_value_in_it() {
    for reason in [
        NotLookedUp::Empty,
        NotLookedUp::Anonymous,
        NotLookedUp::Invalid,
    ] {
        assert!(reason.to_string().len() > 10);
        assert!(!reason.code().is_empty());
    }
}

#[test]
fn a_region_is_two_capitals_that_have_a_numbering_plan() {
    assert_eq!(region("JP").calling_code(), 81);
    for text in ["", "J", "jp", "JPN", "ZZ", "001", "日本"] {
        assert!(text.parse::<Region>().is_err(), "{text}");
    }
    assert_eq!(
        serde_json::to_string(&region("JP")).expect("JSON"),
        "\"JP\""
    );
    assert!(serde_json::from_str::<Region>("\"ZZ\"").is_err());
}

#[test]
fn e164_is_only_made_from_its_own_form() {
    for text in [
        "",
        "+",
        "0312345678",
        "+81 3 1234 5678",
        "+810312345678",
        "+81",
        "+8131234567812345",
    ] {
        assert!(text.parse::<E164>().is_err(), "{text}");
    }
    let number: E164 = "+81312345678".parse().expect("a number");
    assert_eq!(
        (number.digits(), number.calling_code()),
        ("81312345678", 81)
    );
    assert_eq!(
        serde_json::to_string(&number).expect("JSON"),
        "\"+81312345678\""
    );
}

#[test]
fn e164_has_fifteen_digits_at_most() {
    // ITU-T E.164, 6. Germany's plan has room for more.
    let longest = "+493012345678901";
    assert_eq!(
        longest.parse::<E164>().as_ref().map(E164::as_str),
        Ok(longest)
    );
    assert!(format!("{longest}2").parse::<E164>().is_err());
}

#[test]
fn a_number_is_shown_as_people_of_the_region_write_it() {
    for (number, home, written) in [
        ("+81312345678", "JP", "03-1234-5678"),
        ("+81312345678", "US", "+81 3-1234-5678"),
        ("+442079460958", "GB", "020 7946 0958"),
        ("+442079460958", "JP", "+44 20 7946 0958"),
        // One country's code for several regions.
        ("+14155550132", "CA", "(415) 555-0132"),
    ] {
        let number: E164 = number.parse().expect("a number");
        assert_eq!(number.as_written_in(region(home)), written, "{home}");
    }
}

#[test]
fn a_field_may_hold_more_than_a_number() {
    let read = |text: &str, code: &str| -> Vec<String> {
        let numbers = numbers_in(text, &region(code));
        numbers.iter().map(E164::to_string).collect()
    };
    for (text, code, expected) in [
        ("03-1234-5678", "JP", &["+81312345678"][..]),
        (
            "03-1234-5678 / 090-1234-5678",
            "JP",
            &["+81312345678", "+819012345678"],
        ),
        (
            "03-1234-5678/090-1234-5678",
            "JP",
            &["+81312345678", "+819012345678"],
        ),
        (
            "03-1234-5678、090-1234-5678",
            "JP",
            &["+81312345678", "+819012345678"],
        ),
        (
            "03-1234-5678\n090-1234-5678",
            "JP",
            &["+81312345678", "+819012345678"],
        ),
        (
            "03-1234-5678 090-1234-5678",
            "JP",
            &["+81312345678", "+819012345678"],
        ),
        ("03-1234-5678 / 5679", "JP", &["+81312345678"]),
        ("03-1234-5678, 内線12", "JP", &["+81312345678"]),
        (
            "(415) 555-0132 or (415) 555-0133",
            "US",
            &["+14155550132", "+14155550133"],
        ),
        ("+1 415-555-0132;ext=12", "US", &["+14155550132"]),
        ("+49 (0)30 / 1234567", "DE", &["+49301234567"]),
        ("030 / 1234567", "DE", &["+49301234567"]),
        (
            "030/1234567, 0151/12345678",
            "DE",
            &["+49301234567", "+4915112345678"],
        ),
        ("415-555-0132 cell", "US", &["+14155550132"]),
        ("1-800-FLOWERS", "US", &["+18003569377"]),
        ("030 1234567 work", "DE", &["+49301234567"]),
        (
            "030/1234567 oder 0151/12345678",
            "DE",
            &["+49301234567", "+4915112345678"],
        ),
        (
            "Tel. 030 1234567 Fax 030 1234568",
            "DE",
            &["+49301234567", "+49301234568"],
        ),
        ("030/1234567 (9-12 Uhr)", "DE", &["+49301234567"]),
        ("030/1234567 ab 18h", "DE", &["+49301234567"]),
        (
            "01 45 67 89 01 ou 06 12 34 56 78",
            "FR",
            &["+33145678901", "+33612345678"],
        ),
        (
            "自宅03-1234-5678 携帯090-1234-5678",
            "JP",
            &["+81312345678", "+819012345678"],
        ),
        (
            "03-1234-5678(携帯090-1234-5678)",
            "JP",
            &["+81312345678", "+819012345678"],
        ),
        ("03-1234-5678(9:00-17:00)", "JP", &["+81312345678"]),
        ("03-1234-5678-12", "JP", &["+81312345678"]),
        ("03・1234・5678", "JP", &["+81312345678"]),
        ("415-555-0132 press 2", "US", &["+14155550132"]),
        (
            "(415) 555-0132 (415) 555-0133",
            "US",
            &["+14155550132", "+14155550133"],
        ),
        ("415-555-0132 - 12", "US", &["+14155550132"]),
        ("020-1234567 toestel 12", "NL", &["+31201234567"]),
        ("079 123'45'67", "CH", &["+41791234567"]),
        ("(0-22) 123 45 67", "PL", &["+48221234567"]),
        ("0601 123 456", "PL", &["+48601123456"]),
        ("+48 (0)22 123 45 67", "DE", &["+48221234567"]),
        ("0347 1234567", "IT", &["+393471234567"]),
        // The parts of a number are no numbers.
        ("0599/23456789 99999999", "DE", &[]),
        ("TEL 03-1234-5678 内線1234567", "JP", &["+81312345678"]),
        ("020 7946 (0958)", "GB", &["+442079460958"]),
        ("110", "JP", &[]),
        ("内線 12", "JP", &[]),
        ("hello", "JP", &[]),
    ] {
        assert_eq!(read(text, code), expected, "{text:?} in {code}");
    }
    assert!(read(&"1".repeat(100_000), "JP").is_empty());
}

#[test]
fn callers_are_read_as_platforms_send_them() {
    for text in [
        "sip:+81312345678@pbx.example.com",
        "\"Sato\" <sip:+81312345678@pbx.example>",
        "\"佐藤 花子\" <sips:0312345678@pbx.example;user=phone>;tag=1",
        "<sip:0312345678@192.0.2.1:5060;transport=udp>",
        "sip:%2B81312345678@pbx.example",
        "sip:0312345678;phone-context=+81@pbx.example;user=phone",
        "SIP:0312345678:secret@pbx.example",
        "tel:0312345678;phone-context=+81",
        "tel:0312345678;phone-context=pbx.example",
        "tel:+81-3-1234-5678;ext=12",
        "<tel:+81312345678>",
        "+81(0)3-1234-5678",
        "(+81)3-1234-5678",
        "+81 03-1234-5678",
        "0081-3-1234-5678",
        "010 81 3 1234 5678",
    ] {
        reads(text, "JP", "+81312345678");
    }
    reads("tel:0301234567;phone-context=+49", "JP", "+49301234567");
    for text in [
        "+86282452253",
        "86282452253",
        "+266696687",
        "+7378742833",
        "+8656696",
        "sip:anonymous@anonymous.invalid",
        "\"Anonymous\" <sip:anonymous@anonymous.invalid>",
        "sip:unavailable@unknown.invalid",
        "非通知",
    ] {
        refuses(text, "JP", NotLookedUp::Anonymous);
    }
    // A number that exists is not a word: 737 is an area code of Austin.
    reads("7378742833", "US", "+17378742833");
    refuses("sip:sato@pbx.example", "JP", NotLookedUp::NotANumber);
    refuses("sip:201@pbx.example", "JP", NotLookedUp::Extension);
    refuses("sip:110@pbx.example", "JP", NotLookedUp::Emergency);
}

#[test]
fn the_two_numbers_of_a_subscriber_lead_to_each_other() {
    for (one, other) in [
        ("+5491123450001", "+541123450001"),
        ("+5493514567890", "+543514567890"),
        ("+5511987650001", "+551187650001"),
    ] {
        let (one, other): (E164, E164) = (one.parse().unwrap(), other.parse().unwrap());
        assert_eq!(one.same_subscriber().as_ref(), Some(&other));
        assert_eq!(other.same_subscriber(), Some(one));
    }
    for alone in ["+81312345678", "+551133330005", "+548001234567"] {
        assert_eq!(alone.parse::<E164>().unwrap().same_subscriber(), None);
    }
    for text in [
        "+52 1 55 4123 0001",
        "0052 1 55 4123 0001",
        "+52 044 55 4123 0001",
    ] {
        reads(text, "JP", "+525541230001");
    }
    for text in [
        "044 55 4123 0001",
        "045 55 4123 0001",
        "01 55 4123 0001",
        "+521 5541230001",
    ] {
        reads(text, "MX", "+525541230001");
    }
}

#[test]
fn spellings_begin_with_what_people_store_most() {
    let number = parse("03-1234-5678", &region("JP")).expect("a number");
    let list = spellings(&number, &region("JP"));
    assert_eq!(list[..3], ["+81312345678", "03-1234-5678", "0312345678"]);
    for expected in [
        "81312345678",
        "(03)1234-5678",
        "(03) 1234-5678",
        "03(1234)5678",
        "03 1234 5678",
        "03.1234.5678",
        "+81 3-1234-5678",
        "+81 3 1234 5678",
        "+81-3-1234-5678",
        "+81 (0)3-1234-5678",
    ] {
        assert!(
            list.iter().any(|spelling| spelling == expected),
            "{expected} in {list:?}"
        );
    }
    let other = parse("0451234567", &region("JP")).expect("a number");
    let list = spellings(&other, &region("JP"));
    for expected in ["045-123-4567", "0451-23-4567", "045(123)4567"] {
        assert!(list.iter().any(|spelling| spelling == expected), "{list:?}");
    }
    let mobile = parse("09012345678", &region("JP")).expect("a number");
    let list = spellings(&mobile, &region("JP"));
    assert!(list.contains(&"090-1234-5678".to_owned()), "{list:?}");
    assert!(list.contains(&"+81 90-1234-5678".to_owned()), "{list:?}");
    let american = parse("4155550132", &region("US")).expect("a number");
    let list = spellings(&american, &region("US"));
    for expected in [
        "(415) 555-0132",
        "415-555-0132",
        "4155550132",
        "+1 (415) 555-0132",
    ] {
        assert!(
            list.iter().any(|spelling| spelling == expected),
            "{expected} in {list:?}"
        );
    }
}

#[test]
fn letter_heads_of_other_countries_are_asked_for() {
    for (text, home, expected) in [
        ("02079460958", "GB", "+44 (0)20 7946 0958"),
        ("02079460958", "GB", "+44 (20) 7946 0958"),
        ("07400123456", "GB", "07400 123 456"),
        ("030123456", "DE", "+49 (0) 30 123456"),
        ("015112345678", "DE", "+49 151 12345678"),
        ("0145678901", "FR", "0033145678901"),
        ("4155550132", "US", "+1(415)555-0132"),
    ] {
        let home = region(home);
        let number = parse(text, &home).expect("a number");
        let list = spellings(&number, &home);
        assert!(
            list.iter().any(|spelling| spelling == expected),
            "{expected} in {list:?}"
        );
    }
}

#[test]
fn a_foreign_number_is_not_asked_for_by_its_national_form() {
    let number = parse("+14155550132", &region("JP")).expect("a number");
    let list = spellings(&number, &region("JP"));
    assert!(!list.contains(&"(415) 555-0132".to_owned()), "{list:?}");
    assert!(list.contains(&"+1 415-555-0132".to_owned()), "{list:?}");
}

#[track_caller]
fn assert_spellings_come_home(number: &E164, home: &Region) {
    let list = spellings(number, home);
    assert_eq!(list[0], number.as_str());
    for (at, spelling) in list.iter().enumerate() {
        assert!(spelling.chars().count() <= MAX_SPELLING_CHARS);
        assert!(!list[..at].contains(spelling), "{spelling} twice");
        assert_eq!(
            parse(spelling, home).as_ref(),
            Ok(number),
            "{spelling:?} in {home}"
        );
    }
}

#[test]
fn every_spelling_of_every_regions_example_comes_home() {
    for region in Region::all() {
        for kind in [
            PhoneNumberType::FixedLine,
            PhoneNumberType::Mobile,
            PhoneNumberType::FixedLineOrMobile,
            PhoneNumberType::VoIP,
            PhoneNumberType::TollFree,
            PhoneNumberType::PremiumRate,
            PhoneNumberType::SharedCost,
            PhoneNumberType::PersonalNumber,
            PhoneNumberType::Pager,
            PhoneNumberType::UAN,
            PhoneNumberType::VoiceMail,
        ] {
            let Ok(example) =
                PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region.library(), kind)
            else {
                continue;
            };
            let Some(number) = E164::from_library(&example) else {
                continue;
            };
            assert_eq!(number.as_str().parse::<E164>().as_ref(), Ok(&number));
            assert_spellings_come_home(&number, &region);
            assert_spellings_come_home(&number, &Region::JAPAN);
            assert_spellings_come_home(&number, &self::region("US"));
        }
    }
}

/// Digits that begin like numbers of the region, so that most of them are valid.
fn dialled(code: &'static str) -> impl Strategy<Value = (Region, String)> {
    let pattern = match code {
        "JP" => "0([1-9][0-9]{8}|[5789]0[1-9][0-9]{7})",
        "US" => "[2-9][0-9]{2}[2-9][0-9]{6}",
        "GB" => "0[1-37][0-9]{9}",
        "DE" => "0[1-9][0-9]{7,10}",
        // Service numbers (0900) have no international form.
        "BR" => "0[1-9][1-9][2-5][0-9]{7}",
        "MX" => "[2-9][0-9]{9}",
        "AR" => "0(11|351|2966)[2-9][0-9]{6,7}",
        "BY" => "8[0-9]{8,10}",
        "BI" => "[2-7][0-9]{7}",
        _ => "0[1-9][0-9]{5,10}",
    };
    pattern.prop_map(move |text| (region(code), text))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_spelling_reads_back_to_the_same_number(
        (home, text) in prop_oneof![dialled("JP"), dialled("US"), dialled("GB"), dialled("DE"), dialled("IT"), dialled("BR"), dialled("MX"), dialled("AR"), dialled("BY"), dialled("BI"), dialled("CH"), dialled("AT"), dialled("KR"), dialled("CN")]
    ) {
        if let Ok(number) = parse(&text, &home) {
            assert_spellings_come_home(&number, &home);
            prop_assert_eq!(number.as_str().parse::<E164>(), Ok(number.clone()));
        }
    }

    #[test]
    fn a_number_of_any_region_is_asked_for_by_itself(at in 0_usize..250, text in "[0-9]{5,13}|0[0-9]{5,12}|\\+[1-9][0-9]{6,13}") {
        let home = Region::all().nth(at % Region::all().count()).expect("a region");
        if let Ok(number) = parse(&text, &home) {
            prop_assert_eq!(number.as_str().parse::<E164>(), Ok(number.clone()));
            assert_spellings_come_home(&number, &home);
        }
    }

    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,60}") {
        let _ = parse(&text, &Region::JAPAN);
    }

    #[test]
    fn junk_of_phone_characters_never_becomes_another_form(text in "[-+0-9()./# x*]{0,24}") {
        if let Ok(number) = parse(&text, &Region::JAPAN) {
            prop_assert_eq!(number.as_str().parse::<E164>(), Ok(number.clone()));
        }
    }
}

#[test]
fn what_was_written_comes_back_by_its_form_alone() {
    // Too long for the plan of Japan: another version's data may know better.
    for text in ["+81312345678", "+431112", "+8131234567890", "+12345"] {
        assert_eq!(E164::written(text).unwrap().as_str(), text);
    }
    for text in [
        "",
        "+",
        "+1234",
        "+1234567890123456",
        "+081312345678",
        "81312345678",
        "+81 312345678",
        "+8131234567８",
        "++81312345678",
        "+81312345678\n",
    ] {
        assert_eq!(E164::written(text), Err(InvalidE164), "{text:?}");
    }
}

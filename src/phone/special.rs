//! Numbers of emergency services or of a network service, not of a customer.

use super::Region;

/// Whether these digits are an emergency number when dialled in this region.
///
/// 112 and 911 work on any mobile phone (3GPP TS 22.101, 10.1); the others are those of the region.
/// For a region that is not listed, numbers that are nowhere a customer's count as well.
pub(crate) fn is_emergency(digits: &str, region: Region) -> bool {
    const EVERYWHERE: [&str; 4] = ["112", "911", "999", "000"];
    EVERYWHERE.contains(&digits) || of_region(region).contains(&digits)
}

/// The emergency numbers of a region, from libphonenumber's short-number metadata.
fn of_region(region: Region) -> &'static [&'static str] {
    match region.to_string().as_str() {
        // Police, fire and ambulance, coast guard.
        "JP" => &["110", "118", "119"],
        "AU" => &["106"],
        "BR" => &["190", "191", "192", "193", "194", "197", "198", "199"],
        "CN" => &["110", "119", "120", "122"],
        "DE" => &["110"],
        "ES" => &["061", "062", "080", "085", "088", "091", "092"],
        "FR" => &["15", "17", "18", "114", "115", "119", "191", "196", "197"],
        "ID" => &["110", "113", "118", "119"],
        "IN" => &["100", "101", "102", "108"],
        "IT" => &["113", "115", "118"],
        "KR" => &[
            "111", "113", "117", "118", "119", "122", "125", "127", "132",
        ],
        "MY" | "SG" => &["994", "995"],
        "PH" => &["117"],
        "RU" => &["101", "102", "103", "104"],
        "TH" => &["191", "199", "1669"],
        "TW" => &["110", "113", "118", "119"],
        "VN" => &["113", "114", "115"],
        "CH" => &["117", "118", "144"],
        "AT" => &["122", "133", "140", "144"],
        "PL" => &["997", "998"],
        _ => &["110", "119"],
    }
}

/// Whether these digits are a short number of the network or of an authority.
pub(crate) fn is_service(digits: &str, region: Region) -> bool {
    match region.to_string().as_str() {
        // 1XY: 104 directory, 113 repairs, 117 time, 171 message board, 177 weather, 188, 189 …
        // (Ministry of Internal Affairs, "電気通信番号計画"; no customer in Japan has a 1XX
        // number.)
        "JP" => digits.len() == 3 && digits.starts_with('1'),
        // N11 (NANPA): 211 to 811; 988 is the crisis line.
        "US" | "CA" => (digits.len() == 3 && digits.ends_with("11")) || digits == "988",
        // 1XX and 116XXX (Ofcom, National Telephone Numbering Plan); the latter is European.
        "GB" => {
            (digits.len() == 3 && digits.starts_with('1'))
                || (digits.len() == 6 && digits.starts_with("116"))
        }
        _ => digits.len() == 6 && digits.starts_with("116"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_emergency_numbers_are_those_of_the_region_and_those_of_all() {
        let table = [
            ("JP", "110 118 119"),
            ("AU", "106"),
            ("BR", "190 191 192 193 194 197 198 199"),
            ("CN", "110 119 120 122"),
            ("DE", "110"),
            ("ES", "061 062 080 085 088 091 092"),
            ("FR", "15 17 18 114 115 119 191 196 197"),
            ("ID", "110 113 118 119"),
            ("IN", "100 101 102 108"),
            ("IT", "113 115 118"),
            ("KR", "111 113 117 118 119 122 125 127 132"),
            ("MY", "994 995"),
            ("SG", "994 995"),
            ("PH", "117"),
            ("RU", "101 102 103 104"),
            ("TH", "191 199 1669"),
            ("TW", "110 113 118 119"),
            ("VN", "113 114 115"),
            ("CH", "117 118 144"),
            ("AT", "122 133 140 144"),
            ("PL", "997 998"),
            // Not listed: what is nowhere a customer's.
            ("GB", "110 119"),
            ("US", "110 119"),
        ];
        let short: Vec<String> = (0..10_000_u32)
            .flat_map(|number| (1..=4).map(move |width| format!("{number:0width$}")))
            .collect();
        for (region, own) in table {
            let region: Region = region.parse().unwrap();
            let mut expected: Vec<&str> = own.split(' ').collect();
            expected.extend(["112", "911", "999", "000"]);
            expected.sort_unstable();
            let mut found: Vec<&str> = short
                .iter()
                .map(String::as_str)
                .filter(|digits| is_emergency(digits, region))
                .collect();
            found.sort_unstable();
            found.dedup();
            assert_eq!(found, expected, "{region}");
        }
    }

    #[test]
    fn the_service_numbers_are_those_of_the_plan() {
        for (region, service, others) in [
            ("JP", "100 104 171 177 199", "10 1040 204 011 116117"),
            ("US", "211 411 811 988", "11 2110 212 989 116117"),
            ("CA", "211 411 811 988", "11 2110 212 989 116117"),
            (
                "GB",
                "100 123 199 116000 116117",
                "12 1234 223 11611 1161171 115117",
            ),
            ("FR", "116000 116117", "123 988 211 11611 1161171 115117"),
        ] {
            let region: Region = region.parse().unwrap();
            for (numbers, expected) in [(service, true), (others, false)] {
                for digits in numbers.split(' ') {
                    assert_eq!(is_service(digits, region), expected, "{digits} in {region}");
                }
            }
        }
    }
}

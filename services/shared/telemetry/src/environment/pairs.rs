/// The pairs of `key=value,…`, decoded; none if one of them is no pair.
pub(super) fn listed_pairs(list: &str) -> Option<Vec<(String, String)>> {
    list.split(',')
        .filter(|member| !member.trim().is_empty())
        .map(|member| {
            let (key, value) = member.split_once('=')?;
            Some((percent_decoded(key.trim())?, percent_decoded(value.trim())?))
        })
        .collect()
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.as_bytes().split_first_chunk::<2>()?;
        let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
        bytes.push(u8::try_from(high? * 16 + low?).ok()?);
        bytes.extend_from_slice(rest);
    }
    String::from_utf8(bytes).ok()
}

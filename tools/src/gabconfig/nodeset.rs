//! A set of nodes as `gabconfig -a` shows it.

/// One column per node id: the id's last digit; `;` for an absent node in columns 0, 10, 20 and so
/// on, a blank for another absent one; nothing after the last member (facts 2.4).
///
/// ```
/// assert_eq!(tools::gabconfig::node_columns(&[1]), ";1");
/// ```
pub fn node_columns(nodes: &[u8]) -> String {
    let Some(&last) = nodes.iter().max() else {
        return String::new();
    };
    let column = |id: u8| match id % 10 {
        digit if nodes.contains(&id) => char::from(b'0' + digit),
        0 => ';',
        _ => ' ',
    };
    (0..=last).map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::node_columns;

    #[test]
    fn sets_look_as_in_the_original() {
        let cases: [(&[u8], &str); 9] = [
            (&[], ""),
            (&[0], "0"),
            (&[0, 1], "01"),
            (&[1], ";1"),
            (&[1, 0], "01"),
            (&[0, 3], "0  3"),
            (&[10], ";         0"),
            (&[2, 11, 20], "; 2       ;1        0"),
            (&[127], &(";         ".repeat(12) + ";      7")),
        ];
        for (nodes, text) in cases {
            assert_eq!(node_columns(nodes), text, "{nodes:?}");
        }
    }
}

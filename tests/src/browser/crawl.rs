//! Every page that there is: what links lead to, one after the other.

use std::collections::BTreeMap;

use super::Browser;

/// Of resources of one kind, the pages of so many are looked at; of what can be done with them, one.
const ALIKE: usize = 2;

/// Where the links of a page lead in the console itself, with what stands behind `?`, which may choose a form; files are no pages.
const LINKS: &str = "\
return [...document.querySelectorAll('a[href]')]
  .filter((link) => link.origin === location.origin && !link.download && link.target !== '_blank')
  .filter((link) => !/\\.[a-z]{2,5}$/.test(link.pathname))
  .map((link) => link.pathname + link.search);
";

impl Browser {
    /// Opens every page to which links lead from `/`, and gives the path of each with what `look` says of it.
    #[track_caller]
    pub fn crawl<T>(&self, mut look: impl FnMut(&str) -> T) -> BTreeMap<String, T> {
        let mut seen: BTreeMap<String, T> = BTreeMap::new();
        let mut alike: BTreeMap<String, usize> = BTreeMap::new();
        let mut waiting = vec!["/".to_owned()];
        while let Some(path) = waiting.pop() {
            self.open(&path);
            // It may lead on to another one.
            let shown = self.path();
            if seen.contains_key(&shown) {
                continue;
            }
            let links = self.run(LINKS, &[]);
            let said = look(&shown);
            seen.insert(shown, said);
            let links = links.as_array().unwrap_or_else(|| panic!("{path} says of its links {links}"));
            for link in links.iter().filter_map(|link| link.as_str()) {
                let shape = shape(link);
                let most = if shape.ends_with('*') { ALIKE } else { 1 };
                let of_its_shape = alike.entry(shape).or_default();
                if *of_its_shape < most && !seen.contains_key(link) && !waiting.iter().any(|path| path == link) {
                    *of_its_shape += 1;
                    waiting.push(link.to_owned());
                }
            }
        }
        seen
    }
}

/// An address without the names of resources: below `/t/TENANT/KIND/` and `/fabric/KIND/`, and behind `?` but for the service of
/// a connection, of which each has a form of its own.
fn shape(address: &str) -> String {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let segments: Vec<&str> = path.split('/').collect();
    let names: &[usize] = if segments.get(1) == Some(&"t") { &[2, 4] } else { &[3] };
    let plain = |(at, segment): (usize, &&str)| {
        if names.contains(&at) && *segment != "new" { "*" } else { *segment }.to_owned()
    };
    let path = segments.iter().enumerate().map(plain).collect::<Vec<_>>().join("/");
    let plain = |pair: &str| match pair.split_once('=') {
        Some(("service", _)) | None => pair.to_owned(),
        Some((name, _)) => format!("{name}=*"),
    };
    let query: Vec<String> = query.split('&').filter(|pair| !pair.is_empty()).map(plain).collect();
    if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_one_kind_are_alike() {
        assert_eq!(shape("/t/blue/ports/web1/edit"), "/t/*/ports/*/edit");
        assert_eq!(shape("/t/blue/ports/new"), "/t/*/ports/new");
        assert_eq!(shape("/fabric/hosts/h1"), "/fabric/hosts/*");
        assert_eq!(shape("/fabric"), "/fabric");
        assert_eq!(shape("/t/blue/trace?from=web&to=db"), "/t/*/trace?from=*&to=*");
        assert_eq!(shape("/t/blue/gateway-connections/new?service=nat"), "/t/*/gateway-connections/new?service=nat");
        assert_eq!(shape("/t/blue/activity?"), "/t/*/activity");
    }
}

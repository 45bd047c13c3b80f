//! Keeps secrets out of pages: those in declarations that somebody typed, and those in what a log shows.

use model::gateway::Secret;
use serde_json::Value;

/// The fields of declarations that are secret.
const FIELDS: [&str; 4] = ["psk", "privateKey", "presharedKey", "password"];

/// Puts what stands for a secret in the place of each.
pub fn hide(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if FIELDS.contains(&name.as_str()) { *value = Secret::HIDDEN.into() } else { hide(value) }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(hide),
        _ => {}
    }
}

/// A text of YAML documents as it may stand in a page that nobody has signed in for. Where it may have secrets, it is written
/// anew without them, and so without comments; where it cannot be read, nothing of it is left. A change is carried out with
/// what stands for a secret as if that were the one that is there.
pub fn without_secrets(text: &str) -> String {
    if !FIELDS.iter().any(|field| text.contains(field)) && !text.contains('\\') {
        return text.to_owned();
    }
    let Ok(documents) = serde_saphyr::from_multiple::<Value>(text) else { return String::new() };
    let written = documents.into_iter().map(|mut document| {
        hide(&mut document);
        serde_saphyr::to_string(&document).unwrap_or_default()
    });
    written.collect::<Vec<_>>().join("---\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_however_they_are_written() {
        for text in [
            "ipsec:\n  psk: swordfish\n",
            "{ipsec: {\"psk\": \"swordfish\"}, note: x}",
            "{\"p\\x73k\": swordfish}",
            "a: {b: [{password: swordfish}]}",
            "certificates:\n  privateKey: |\n    BEGIN\n    swordfish\n    END\n",
            "a: &key swordfish\npsk: *key\n# psk: swordfish\n",
            "kind: x\n---\nwireguard: {presharedKey: swordfish}\n",
            "psk: swordfish\n  broken: [",
        ] {
            let shown = without_secrets(text);
            // An anchor elsewhere than at a secret is what its author made of it.
            let shown = shown.replacen("a: swordfish", "", 1);
            assert!(!shown.contains("swordfish"), "{text} became {shown}");
        }
        assert_eq!(without_secrets("ipsec:\n  psk: swordfish\n"), "ipsec:\n  psk: (hidden)\n");
    }

    #[test]
    fn what_has_none_stays_as_it_was_typed() {
        let text = "\n# ours\nvmNetwork:   front\nbroken: [";
        assert_eq!(without_secrets(text), text);
    }
}

//! Whether pictures are well-formed, nothing in them covers anything else, and they stay small.

mod content;
mod geometry;
mod samples;

use std::path::Path;

use super::scene::Scene;
use super::{Setting, Words, address_map, charts, fabric, render, topology, trace};

/// Every sample: its name, and how it is laid out.
fn scenes(setting: &Setting) -> Vec<(&'static str, Scene)> {
    let mut scenes: Vec<(&str, Scene)> = Vec::new();
    scenes.extend(samples::topologies().into_iter().map(|(name, it)| (name, topology::scene(&it, setting))));
    scenes.extend(samples::fabrics().into_iter().map(|(name, it)| (name, fabric::scene(&it, setting))));
    scenes.extend(samples::maps().into_iter().map(|(name, it)| (name, address_map::scene(&it, setting))));
    scenes.extend(samples::traces().into_iter().map(|(name, it)| (name, trace::scene(&it, setting))));
    scenes.extend(samples::bars().into_iter().map(|(name, it)| (name, charts::bars_scene(&it, setting))));
    scenes
}

/// All texts that a reader sees, and the addresses of all links, of a document that must be well-formed.
fn read(svg: &str) -> (Vec<String>, Vec<String>) {
    let document = roxmltree::Document::parse(svg).unwrap_or_else(|error| panic!("{error}:\n{svg}"));
    assert_eq!(document.root_element().tag_name().namespace(), Some("http://www.w3.org/2000/svg"));
    let known = ["svg", "title", "desc", "style", "g", "a", "rect", "path", "text"];
    let mut texts = Vec::new();
    let mut links = Vec::new();
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        let name = node.tag_name().name();
        assert!(known.contains(&name), "an element <{name}> is in:\n{svg}");
        for attribute in node.attributes() {
            let name = attribute.name();
            assert!(name != "style" && !name.starts_with("on"), "an attribute {name} is in:\n{svg}");
        }
        match name {
            "text" | "title" => texts.extend(node.text().map(str::to_owned)),
            "a" => links.extend(node.attribute("href").map(str::to_owned)),
            _ => {}
        }
    }
    (texts, links)
}

/// With `NETVIRT_PICTURES=FOLDER` the samples are written there, to be looked at: as files of their own, and as the parts
/// of pages, with the stylesheet of those.
#[test]
fn every_sample_is_well_formed_and_nothing_covers_anything() {
    let folder = std::env::var_os("NETVIRT_PICTURES");
    if let Some(folder) = &folder {
        std::fs::write(Path::new(folder).join("pictures.css"), super::CSS.as_str()).expect("the folder is there");
    }
    for (language, words) in [("en", Words::ENGLISH), ("zh", Words::CHINESE)] {
        for setting in [Setting::page(words), Setting::file(words, "https://controller.example:8443")] {
            for (name, scene) in scenes(&setting) {
                let svg = render::svg(&scene, &setting);
                assert_eq!(svg.contains("<style>"), setting.standalone, "{name}");
                assert_eq!(svg, render::svg(&scene, &setting));
                if let Some(folder) = &folder {
                    let kind = if setting.standalone { "svg" } else { "part.svg" };
                    let path = Path::new(folder).join(format!("{name}.{language}.{kind}"));
                    std::fs::write(path, &svg).expect("the folder is there and may be written to");
                }
                geometry::check(&scene).unwrap_or_else(|error| panic!("{name} ({language}): {error}"));
                read(&svg);
            }
        }
    }
}

#[test]
fn no_picture_is_large() {
    for (name, scene) in scenes(&Setting::file(Words::ENGLISH, "https://controller.example:8443")) {
        let size = render::svg(&scene, &Setting::file(Words::ENGLISH, "https://controller.example:8443")).len();
        let most = if name.starts_with("map") { 90_000 } else { 60_000 };
        assert!(size < most, "{name} has {size} bytes");
    }
}

#[test]
fn links_lead_to_the_console_alone() {
    let setting = Setting::page(Words::ENGLISH);
    let mut it = samples::topologies().remove(0).1;
    for evil in ["javascript:alert(1)", "//evil.example/", "https://evil.example/", "/\\evil.example", "/a\nb"] {
        evil.clone_into(&mut it.networks[0].href);
        let (_, links) = read(&topology::topology(&it, &setting));
        assert!(!links.is_empty() && links.iter().all(|link| link.starts_with("/t/")), "{links:?}");
    }
    let (_, links) = read(&topology::topology(&it, &Setting::file(Words::ENGLISH, "https://c.example")));
    assert!(links.iter().all(|link| link.starts_with("https://c.example/t/")), "{links:?}");
}

#[test]
fn what_users_named_stays_text() {
    let setting = Setting::page(Words::ENGLISH);
    for name in samples::NAMES {
        let clean = super::text::clean(name);
        let pictures = [
            topology::topology(&samples::topology_of(name), &setting),
            fabric::fabric(&samples::fabric_of(name), &setting),
            address_map::address_map(&samples::map_of(name), &setting),
            trace::trace(&samples::trace_of(name), &setting),
            charts::bars(&samples::bars_of(name), &setting),
        ];
        for svg in pictures {
            let (texts, _) = read(&svg);
            assert!(texts.iter().any(|text| text.contains(&clean)), "{clean:?} is nowhere in full in:\n{svg}");
        }
    }
}

#[test]
fn a_topology_of_ten_thousand_ports_is_small_and_counts_them_all() {
    let it = samples::huge_topology();
    let svg = topology::topology(&it, &Setting::file(Words::ENGLISH, "https://controller.example:8443"));
    assert!(svg.len() < 60_000, "{} bytes", svg.len());
    let document = roxmltree::Document::parse(&svg).expect("XML");
    let texts = document.descendants().filter(|node| node.has_tag_name("text")).filter_map(|node| node.text());
    // Each subnet that is drawn says how many VMs it has, and so does the box that stands for those that are not.
    let counted = |text: &str| text.strip_suffix(" VMs")?.rsplit(' ').next()?.replace(',', "").parse::<u64>().ok();
    assert_eq!(texts.filter_map(counted).sum::<u64>(), 10_000);
}

//! A scene as an SVG document: in a page it has classes alone, as a file its own stylesheet.

use maud::{Markup, PreEscaped, html};

use super::Setting;
use super::scene::{Anchor, Group, Item, Label, Scene};
use super::style;
use super::text::{self, Face};

/// The picture as a string.
pub(super) fn svg(scene: &Scene, setting: &Setting) -> String {
    let (width, height) = (scene.width, scene.height);
    let (title, about) = (text::clean(&scene.title), text::clean(&scene.about));
    let leads = links(&scene.drawing.items);
    let markup = html! {
        svg xmlns="http://www.w3.org/2000/svg" class="pic" width=(width) height=(height)
            viewBox={ "0 0 " (width) " " (height) } role=(if leads { "group" } else { "img" }) aria-label=(title) {
            // In a page the title would be shown wherever one points.
            @if setting.standalone { title { (title) } }
            @if !about.is_empty() { desc { (about) } }
            @if setting.standalone {
                style { (PreEscaped(style::STANDALONE.as_str())) }
                rect class="paper" width=(width) height=(height) {}
            }
            (items(&scene.drawing.items, "", setting))
        }
    };
    markup.into_string()
}

/// Whether one of these, or what they hold, is a link.
fn links(items: &[Item]) -> bool {
    items.iter().any(|item| matches!(item, Item::Group(group) if !group.href.is_empty() || links(&group.items)))
}

/// `titled` is the title of what they are in, which need not be said again.
fn items(items: &[Item], titled: &str, setting: &Setting) -> Markup {
    html! { @for item in items { (self::item(item, titled, setting)) } }
}

fn item(item: &Item, titled: &str, setting: &Setting) -> Markup {
    match item {
        Item::Frame { rect, round, class } => html! {
            rect class=[some(class)] x=(rect.x) y=(rect.y) width=(rect.w) height=(rect.h)
                rx=[(*round > 0).then_some(round)] {}
        },
        Item::Cells { rects, class } => {
            let data: String = rects.iter().map(|it| format!("M{} {}h{}v{}h-{2}z", it.x, it.y, it.w, it.h)).collect();
            html! { path class=[some(class)] d=(data) {} }
        }
        Item::Path { data, class, width } => html! {
            path class=[some(class)] d=(data) pathLength=[class.contains("travels").then_some(100)]
                stroke-width=[width.map(tenths)] {}
        },
        Item::Text(label) => label_of(label, titled),
        Item::Group(group) => group_of(group, titled, setting),
    }
}

fn some(class: &'static str) -> Option<&'static str> {
    Some(class).filter(|class| !class.is_empty())
}

fn tenths(width: u32) -> String {
    format!("{}.{}", width / 10, width % 10)
}

fn label_of(label: &Label, titled: &str) -> Markup {
    let shown = label.shown();
    let mut class = match label.face {
        Face::Plain => String::new(),
        Face::Bold => "b".to_owned(),
        Face::Mono => "m".to_owned(),
    };
    let anchor = match label.anchor {
        Anchor::Start => "",
        Anchor::Middle => "mid",
        Anchor::End => "end",
    };
    // Monospaced text is small anyhow.
    let small = if label.size < 13 && label.face != Face::Mono { "s" } else { "" };
    for more in [small, anchor, label.class] {
        if !more.is_empty() {
            class = if class.is_empty() { more.to_owned() } else { format!("{class} {more}") };
        }
    }
    let class = Some(class).filter(|class| !class.is_empty());
    let full = Some(&label.full).filter(|full| **full != shown && !titled.contains(full.as_str()));
    let text = |x: i32, y: i32| {
        html! {
            text class=[class.as_deref()] x=(x) y=(y) { (shown) @if let Some(full) = full { title { (full) } } }
        }
    };
    if !text::exotic(&shown) {
        return text(label.x, label.y);
    }
    // An inner picture clips what is in it.
    let rect = label.rect();
    let (x, y) = (label.x - rect.x, label.y - rect.y + 2);
    html! {
        svg x=(rect.x) y=(rect.y - 2) width=(rect.w) height=(rect.h + 4) { (text(x, y)) }
    }
}

fn group_of(group: &Group, titled: &str, setting: &Setting) -> Markup {
    let inner = html! {
        @if !group.title.is_empty() { title { (group.title) } }
        (items(&group.items, if group.title.is_empty() { titled } else { &group.title }, setting))
    };
    match address(&group.href, setting) {
        Some(href) => html! { a href=(href) class=[some(group.class)] { (inner) } },
        None => html! { g class=[some(group.class)] { (inner) } },
    }
}

/// Links lead to pages of the console alone, whoever may have named them.
fn address(href: &str, setting: &Setting) -> Option<String> {
    let inside = href.starts_with('/') && !href.starts_with("//") && !href.contains(['\\', '\n', '\r', '\t']);
    inside.then(|| text::clean(&format!("{}{href}", setting.base)))
}

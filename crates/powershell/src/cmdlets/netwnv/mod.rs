//! The cmdlets of NetWNV, which behave as Windows' CDXML engine does: filters are all to be met, the values of one filter are
//! alternatives, what is not found is an error only where it was asked for by its very name.

mod customer_route;
mod global;
mod lookup_record;
mod next_hop;
mod provider_address;
mod provider_route;

use model::{Kind, Resource};

use super::bind::{self, Bound};
use super::parameter::{Parameter, Takes};
use super::{Call, Cmdlet};
use crate::hosts::{Entry, Interface, Source, Step};
use crate::run::{Emit, Shell, Stop};
use crate::value::{Class, Object, Value, wildcard};

/// Properties under their names.
type Properties = Vec<(&'static str, Value)>;

/// One of the four kinds that are created, changed and removed.
pub struct Sort {
    /// Behind the verb and the hyphen.
    noun: &'static str,
    /// How its objects are shown.
    class: &'static Class,
    /// Name of its class in CIM, in complaints.
    cim: &'static str,
    /// The kind of resource.
    kind: Kind,
    /// The filters of Get- and Remove-.
    filters: &'static [&'static str],
    /// The properties of a resource.
    properties: fn(&Entry, &[Interface]) -> Properties,
    /// A new one.
    create: fn(&Bound, &[Interface]) -> Result<Resource, String>,
    /// One with the new values of Set-.
    change: fn(&Resource, &Bound, &[Interface]) -> Result<Resource, String>,
}

const SORTS: [&Sort; 4] = [&lookup_record::SORT, &customer_route::SORT, &provider_address::SORT, &provider_route::SORT];

/// All cmdlets of the module.
pub fn all() -> impl Iterator<Item = &'static Cmdlet> {
    lookup_record::CMDLETS
        .iter()
        .chain(customer_route::CMDLETS)
        .chain(provider_address::CMDLETS)
        .chain(provider_route::CMDLETS)
        .chain(global::CMDLETS)
        .chain(next_hop::CMDLETS)
}

/// VSIDs that a VM subnet can have.
pub const VSID: Takes = Takes::Integer(4096, 16_777_214);
/// Numbers of 32 bits without a sign.
pub const UINT32: Takes = Takes::Integer(0, u32::MAX as i64);
const PASS_THRU: Parameter = Parameter::new("PassThru", Takes::Switch);
const INPUT: Parameter = Parameter::new("InputObject", Takes::Anything).many().by_value();

fn sort(call: &Call<'_>) -> &'static Sort {
    let noun = call.cmdlet.name.split_once('-').map_or("", |(_, noun)| noun);
    SORTS.into_iter().find(|sort| sort.noun == noun).unwrap_or(SORTS[0])
}

/// The interfaces of a host, where a kind has to do with them.
fn interfaces(shell: &mut Shell, call: &Call<'_>, sort: &Sort, host: Option<&str>) -> Result<Vec<Interface>, Stop> {
    match sort.kind {
        Kind::ProviderAddress | Kind::ProviderRoute => shell.hosts.interfaces(host).or_else(|error| call.fail(error)),
        _ => Ok(Vec::new()),
    }
}

fn object(sort: &Sort, entry: &Entry, interfaces: &[Interface], host: Option<&str>) -> Value {
    let mut properties = (sort.properties)(entry, interfaces);
    properties.extend(host.map(|host| ("PSComputerName", Value::text(host))));
    let source = Source { host: host.map(str::to_owned), resource: entry.resource.clone() };
    Object::of(sort.class, properties, Some(source))
}

/// All objects of a host.
fn objects(shell: &mut Shell, call: &Call<'_>, sort: &Sort, host: Option<&str>) -> Result<Vec<Value>, Stop> {
    let interfaces = interfaces(shell, call, sort, host)?;
    let entries = shell.hosts.list(host, sort.kind).or_else(|error| call.fail(error))?;
    shell.step(call.at, entries.len() as u64)?;
    Ok(entries.iter().map(|entry| object(sort, entry, &interfaces, host)).collect())
}

/// Whether a property is what one value of a filter says.
fn meets(property: &Value, wanted: &Value) -> bool {
    match wanted {
        Value::Text(pattern) if wildcard::is_wild(pattern) => wildcard::matches(pattern, &property.to_text(), false),
        Value::Text(text) => property.to_text().eq_ignore_ascii_case(text),
        other => other.to_text() == property.to_text(),
    }
}

/// The objects that meet all filters; what was asked for by its name and is not there is told.
fn chosen(
    shell: &mut Shell,
    call: &Call<'_>,
    sort: &Sort,
    filters: &[&str],
    all: Vec<Value>,
) -> Result<Vec<Value>, Stop> {
    let given: Vec<(&str, Vec<Value>)> =
        filters.iter().filter(|name| call.bound.has(name)).map(|name| (*name, call.bound.items(name))).collect();
    let fits = |object: &Value| {
        given.iter().all(|(name, values)| values.iter().any(|wanted| meets(&object.member(name), wanted)))
    };
    let found: Vec<Value> = all.iter().filter(|object| fits(object)).cloned().collect();
    let exact = |value: &&Value| !matches!(value, Value::Text(text) if wildcard::is_wild(text));
    match given.as_slice() {
        [(name, values)] => {
            for missing in values.iter().filter(exact) {
                if !found.iter().any(|object| meets(&object.member(name), missing)) {
                    let value = missing.to_text();
                    shell.tell(
                        call,
                        format!("No {} objects found with property '{name}' equal to '{value}'.  Verify the value of the property and retry.", sort.cim),
                    )?;
                }
            }
        }
        several if found.is_empty() && several.iter().any(|(_, values)| values.iter().any(|value| exact(&value))) => {
            let parts: Vec<String> = several
                .iter()
                .map(|(name, values)| {
                    let texts: Vec<String> =
                        values.iter().map(|value| format!("({name} LIKE '{}')", value.to_text())).collect();
                    format!("({})", texts.join(" OR "))
                })
                .collect();
            shell.tell(
                call,
                format!("No matching {0} objects found by CIM query: SELECT * FROM {0} WHERE {1}. Verify query parameters and retry.", sort.cim, parts.join(" AND ")),
            )?;
        }
        _ => {}
    }
    Ok(found)
}

/// `Get-`.
fn get(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let sort = sort(call);
    for host in call.sessions()? {
        let all = objects(shell, call, sort, host.as_deref())?;
        for object in chosen(shell, call, sort, sort.filters, all)? {
            emit(shell, object)?;
        }
    }
    Ok(())
}

/// `New-`.
fn new(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let sort = sort(call);
    for host in call.sessions()? {
        let host = host.as_deref();
        let interfaces = interfaces(shell, call, sort, host)?;
        let resource = (sort.create)(call.bound, &interfaces).or_else(|error| call.fail(error))?;
        let key = resource.key();
        if !call.should(shell, call.cmdlet.name, &key.name)? {
            continue;
        }
        shell.hosts.change(host, &[Step::Create(resource)]).or_else(|error| call.fail(error))?;
        // As it is there now: what was left out has its value.
        let interfaces = self::interfaces(shell, call, sort, host)?;
        if let Some(entry) = shell.hosts.get(host, &key).or_else(|error| call.fail(error))? {
            emit(shell, object(sort, &entry, &interfaces, host))?;
        }
    }
    Ok(())
}

/// The objects that `Set-` and `Remove-` are about, each with the host that it is of.
fn meant(shell: &mut Shell, call: &Call<'_>, sort: &Sort, filters: &[&str]) -> Result<Vec<Source>, Stop> {
    let mut sources = Vec::new();
    if call.bound.has("InputObject") {
        if let Some(filter) = filters.iter().find(|filter| call.bound.has(filter)) {
            return call.fail(format!("-{filter} chooses objects, and -InputObject names them; give one of the two"));
        }
        for input in call.bound.items("InputObject") {
            match &input {
                Value::Object(object) => match &object.source {
                    Some(source) if source.resource.kind() == sort.kind => sources.push(source.clone()),
                    _ => return call.fail(format!("-InputObject takes objects of Get-{}", sort.noun)),
                },
                other => {
                    return call.fail(format!(
                        "-InputObject takes objects of Get-{}, and this is {}",
                        sort.noun,
                        other.sort()
                    ));
                }
            }
        }
        return Ok(sources);
    }
    for host in call.sessions()? {
        let all = objects(shell, call, sort, host.as_deref())?;
        for object in chosen(shell, call, sort, filters, all)? {
            if let Value::Object(object) = object {
                sources.extend(object.source.clone());
            }
        }
    }
    Ok(sources)
}

/// What becomes of what is meant, in one transaction a host.
fn carry_out(
    shell: &mut Shell,
    call: &Call<'_>,
    sort: &Sort,
    sources: &[Source],
    mut step: impl FnMut(&Source, &[Interface]) -> Result<Step, String>,
    emit: &mut Emit<'_>,
) -> Result<(), Stop> {
    let mut hosts: Vec<Option<String>> = Vec::new();
    for source in sources {
        if !hosts.contains(&source.host) {
            hosts.push(source.host.clone());
        }
    }
    for host in hosts {
        let interfaces = interfaces(shell, call, sort, host.as_deref())?;
        let (mut steps, mut done) = (Vec::new(), Vec::new());
        for source in sources.iter().filter(|source| source.host == host) {
            let step = step(source, &interfaces).or_else(|error| call.fail(error))?;
            if call.should(shell, call.cmdlet.name, &source.resource.key().name)? {
                done.push(match &step {
                    Step::Put(resource) | Step::Create(resource) => resource.clone(),
                    Step::Delete(_) => source.resource.clone(),
                });
                steps.push(step);
            }
        }
        if steps.is_empty() {
            continue;
        }
        shell.hosts.change(host.as_deref(), &steps).or_else(|error| call.fail(error))?;
        if call.bound.is_on("PassThru") {
            for resource in done {
                let entry = shell.hosts.get(host.as_deref(), &resource.key()).or_else(|error| call.fail(error))?;
                let entry = entry.unwrap_or(Entry { resource, in_force: true, synchronized: true });
                emit(shell, object(sort, &entry, &interfaces, host.as_deref()))?;
            }
        }
    }
    Ok(())
}

/// `Remove-`; without any filter it removes all.
fn remove(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let sort = sort(call);
    let sources = meant(shell, call, sort, sort.filters)?;
    carry_out(shell, call, sort, &sources, |source, _| Ok(Step::Delete(source.resource.key())), emit)
}

/// `Set-`: what is no new value chooses.
fn set(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let sort = sort(call);
    let is_filter = |parameter: &&Parameter| {
        parameter.many && parameter.name != "InputObject" && sort.filters.contains(&parameter.name)
    };
    let selectors: Vec<&str> = call.cmdlet.parameters.iter().filter(is_filter).map(|it| it.name).collect();
    let news: Vec<&str> = bind::parameters(call.cmdlet)
        .filter(|it| call.cmdlet.parameters.iter().any(|own| own.name == it.name))
        .filter(|it| !it.many && it.name != "PassThru")
        .map(|it| it.name)
        .collect();
    if !news.iter().any(|name| call.bound.has(name)) {
        let names: Vec<String> = news.iter().map(|name| format!("-{name}")).collect();
        return call.fail(format!("there is nothing to set; give {}", names.join(", ")));
    }
    let sources = meant(shell, call, sort, &selectors)?;
    let bound = call.bound;
    carry_out(
        shell,
        call,
        sort,
        &sources,
        |source, interfaces| (sort.change)(&source.resource, bound, interfaces).map(Step::Put),
        emit,
    )
}

/// An interface by its index.
fn interface(interfaces: &[Interface], index: i64) -> Result<&Interface, String> {
    interfaces.iter().find(|interface| i64::from(interface.index) == index).ok_or_else(|| {
        let known: Vec<String> = interfaces.iter().map(|it| format!("{} ({})", it.index, it.name)).collect();
        format!("-InterfaceIndex \"{index}\": the host has no such interface; it has {}", known.join(", "))
    })
}

/// The index of an interface by its name; 0 when it is not there.
fn index_of(interfaces: &[Interface], name: &str) -> i64 {
    interfaces.iter().find(|it| it.name == name).map_or(0, |it| it.index.into())
}

/// A text that a bound parameter was seen to say, as what it says.
fn parsed<T: std::str::FromStr>(bound: &Bound, name: &str) -> Result<T, String>
where
    T::Err: std::fmt::Display,
{
    let text = bound.text(name).unwrap_or_default();
    text.parse().map_err(|error: T::Err| format!("-{name} \"{text}\": {error}"))
}

/// A number of a bound parameter, if it was given.
fn number<T: TryFrom<i64>>(bound: &Bound, name: &str) -> Option<T> {
    bound.integer(name).and_then(|number| T::try_from(number).ok())
}

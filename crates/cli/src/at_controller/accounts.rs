//! Users of a controller's console.

use api::fabric::accounts::{NewPassword, Secret, User};
use model::fabric::ResourceName;
use serde::Serialize;

use super::Controller;
use crate::args::{Delete, Output};
use crate::fields::UserFields;
use crate::render::{self, fabric};
use crate::run::Streams;
use crate::{CliError, secret};

/// `netvirt get users`.
pub fn users(controller: &Controller, names: &[String], streams: &mut Streams<'_>) -> Result<(), CliError> {
    let mut users = controller.client.users()?;
    if let Some(name) = names.iter().find(|name| !has(&users, name)) {
        return Err(CliError::NoUser(name.clone()));
    }
    users.retain(|user| names.is_empty() || names.iter().any(|name| user.name.as_str() == name));
    let text = match (controller.output, names, users.as_slice()) {
        (Output::Json, [_], [user]) => render::json(user)?,
        (Output::Json, ..) => render::json(&users)?,
        (Output::Yaml, ..) => render::yaml(&users)?,
        (Output::Name, ..) => users.iter().map(|user| format!("user/{}\n", user.name)).collect(),
        (_, _, []) => return streams.note("there is no user"),
        _ => fabric::users(&users),
    };
    streams.print(&text)
}

fn has(users: &[User], name: &str) -> bool {
    users.iter().any(|user| user.name.as_str() == name)
}

/// `netvirt create user`.
pub fn create_user(
    controller: &Controller,
    name: &ResourceName,
    fields: &UserFields,
    streams: &mut Streams<'_>,
) -> Result<(), CliError> {
    let chosen = fields.password.then(|| secret::password(&format!("user \"{name}\""), streams)).transpose()?;
    let user = fields.user(name, controller.tenant_flag.as_ref(), &controller.tenant, chosen);
    let created = controller.client.create_user(&user)?;
    told(controller, &format!("user \"{name}\" created"), &created, created.password.as_ref(), streams)
}

/// `netvirt set password`.
pub fn set_password(
    controller: &Controller,
    name: &ResourceName,
    generate: bool,
    streams: &mut Streams<'_>,
) -> Result<(), CliError> {
    let chosen = (!generate).then(|| secret::password(&format!("user \"{name}\""), streams)).transpose()?;
    let set = controller.client.set_password(name, &NewPassword { old: None, new: chosen })?;
    told(controller, &format!("password of user \"{name}\" set"), &set, set.password.as_ref(), streams)
}

/// Says what was done. A password that was made up goes alone to the standard output, so that it can be kept in a variable.
fn told(
    controller: &Controller,
    done: &str,
    answer: &impl Serialize,
    made_up: Option<&Secret>,
    streams: &mut Streams<'_>,
) -> Result<(), CliError> {
    match (controller.output, made_up) {
        (Output::Json, _) => streams.print(&render::json(answer)?),
        (Output::Yaml, _) => streams.print(&render::yaml(answer)?),
        (_, None) => streams.print(&format!("{done}\n")),
        (_, Some(password)) => {
            streams.note(&format!("{done}; this is the password, which is told this once:"))?;
            streams.print(&format!("{}\n", password.as_str()))
        }
    }
}

/// `netvirt delete user`.
pub fn delete_users(controller: &Controller, delete: &Delete, streams: &mut Streams<'_>) -> Result<(), CliError> {
    if delete.all || delete.names.is_empty() {
        return Err(CliError::Usage("which user? name one or several".to_owned()));
    }
    if delete.wait.is_some() {
        return Err(CliError::Usage("a user ends at once; leave --wait out".to_owned()));
    }
    let names = delete.names.iter().map(|name| name.parse().map_err(|error| CliError::Usage(format!("{error}"))));
    let names: Vec<ResourceName> = names.collect::<Result<_, _>>()?;
    let users = controller.client.users()?;
    if let Some(name) = names.iter().find(|name| !has(&users, name.as_str())) {
        return Err(CliError::NoUser(name.to_string()));
    }
    for name in &names {
        if delete.dry_run {
            streams.print(&format!("user \"{name}\" deleted (dry run)\n"))?;
            continue;
        }
        controller.client.delete_user(name)?;
        streams.print(&format!("user \"{name}\" deleted\n"))?;
    }
    Ok(())
}

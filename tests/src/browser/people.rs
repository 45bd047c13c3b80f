//! Who signs in to the console of a lab's controller.

use std::fs;

use super::Browser;
use crate::fabric::Fabric;

/// The password that the controller's first start has made for its user `admin`.
#[track_caller]
pub fn admin_password(fabric: &Fabric) -> String {
    let context = fabric.stage.lab.context().expect("a lab with a controller");
    let path = context.with_file_name("console-password");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.trim().to_owned()
}

/// Makes a user of a tenant, and gives the password.
#[track_caller]
pub fn user(fabric: &Fabric, name: &str, tenant: &str) -> String {
    let made = fabric.json(&format!("create user {name} --role tenant --tenant {tenant}"));
    made["password"].as_str().unwrap_or_else(|| panic!("no password is told: {made}")).to_owned()
}

impl Browser {
    /// A browser in which the admin has signed in.
    #[track_caller]
    pub fn of_admin(fabric: &Fabric) -> Self {
        let browser = Self::of(fabric);
        browser.sign_in("admin", &admin_password(fabric));
        browser
    }

    /// A browser in which a new user of a tenant has signed in.
    #[track_caller]
    pub fn of_tenant(fabric: &Fabric, name: &str, tenant: &str) -> Self {
        let browser = Self::of(fabric);
        browser.sign_in(name, &user(fabric, name, tenant));
        browser
    }
}

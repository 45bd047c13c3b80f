//! The operations on users.

use serde_json::{Value, json};

use super::operations::{Operation, json_of};
use super::schemas::schema;
use crate::ProblemType;
use crate::fabric::paths;

/// What an operation may answer that has to do with passwords: few are hashed at a time.
const WITH_PASSWORD: [ProblemType; 4] =
    [ProblemType::NotFound, ProblemType::Conflict, ProblemType::Invalid, ProblemType::TooManyRequests];

pub(super) fn accounts() -> [(String, Value); 3] {
    let tag = "access";
    let users = Operation::new("listUsers", tag, "All users of the console")
        .answers(200, "In the order of their names.", json_of("UserList"))
        .done();
    let create = Operation::new("createUser", tag, "Make a user of the console")
        .describe("A password is made up if none is given, and told this once.")
        .body("application/json", schema("NewUser"))
        .answers(201, "The user, with the password that was made up.", json_of("UserCreated"))
        .headers(201, &["Location"])
        .may(&WITH_PASSWORD)
        .done();
    let get = Operation::new("getUser", tag, "One user of the console")
        .parameters(&["name"])
        .answers(200, "The user.", json_of("User"))
        .may(&[ProblemType::NotFound])
        .done();
    let delete = Operation::new("deleteUser", tag, "End a user and its sessions at once")
        .describe("The last user of role admin is not ended.")
        .parameters(&["name"])
        .answers(204, "It is gone.", None)
        .may(&[ProblemType::NotFound, ProblemType::Conflict])
        .done();
    let password = Operation::new("setPassword", tag, "Set the password of a user, and end its sessions at once")
        .describe("A password is made up if none is given, and told this once.")
        .parameters(&["name"])
        .body("application/json", schema("NewPassword"))
        .answers(200, "It is set; with the password that was made up.", json_of("PasswordSet"))
        .may(&WITH_PASSWORD)
        .done();
    [
        (paths::USERS.to_owned(), json!({"get": users, "post": create})),
        (paths::USER.to_owned(), json!({"get": get, "delete": delete})),
        (paths::PASSWORD.to_owned(), json!({"put": password})),
    ]
}

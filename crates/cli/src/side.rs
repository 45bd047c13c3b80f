//! Who is asked: the agent of a host, or a controller.

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;

use model::fabric::ResourceName;

use crate::CliError;
use crate::args::{Global, Knows};

/// Folder of the sockets that `--host` names.
pub const SOCKET_FOLDER: &str = "/run/netvirt";
/// Host that is asked when none is named.
const DEFAULT_HOST: &str = "agent";
/// Environment variable with the socket that is asked when none is named.
const SOCKET_VARIABLE: &str = "NETVIRT_SOCKET";
/// Environment variable with the context that is used when none is named.
const CONTEXT_VARIABLE: &str = "NETVIRT_CONTEXT";
/// Environment variable with the tenant that is meant when none is named.
const TENANT_VARIABLE: &str = "NETVIRT_TENANT";

/// What surrounds a command line.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The value of `NETVIRT_SOCKET`.
    pub socket: Option<OsString>,
    /// The value of `NETVIRT_CONTEXT`.
    pub context: Option<OsString>,
    /// The value of `NETVIRT_TENANT`.
    pub tenant: Option<OsString>,
    /// Where contexts are looked for when none is named, in this order.
    pub contexts: Vec<PathBuf>,
}

impl Environment {
    /// That of this process.
    pub fn of_process() -> Self {
        let mut contexts = vec![PathBuf::from("/etc/netvirt/context.yaml")];
        contexts.extend(std::env::home_dir().map(|home| home.join(".config/netvirt/context.yaml")));
        contexts.push("/var/lib/netvirt/controller/admin.yaml".into());
        // An empty variable is as good as none.
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            socket: variable(SOCKET_VARIABLE),
            context: variable(CONTEXT_VARIABLE),
            tenant: variable(TENANT_VARIABLE),
            contexts,
        }
    }

    /// An environment with nothing in it, for tests.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The first context that can be read.
    fn usual_context(&self) -> Option<PathBuf> {
        self.contexts.iter().find(|path| File::open(path).is_ok()).cloned()
    }
}

/// Who is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Side {
    /// The agent on this socket.
    Host(PathBuf),
    /// The controller of this context.
    Controller(PathBuf),
}

/// Who is asked, and whether the command line or the environment said so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// Who.
    pub side: Side,
    /// Whether it could as well have been the other one.
    pub guessed: bool,
}

impl Asked {
    /// What is said behind an error where the other one could have been meant.
    pub fn hint(&self) -> Option<String> {
        match &self.side {
            _ if !self.guessed => None,
            Side::Host(socket) => {
                Some(format!("the agent on {} was asked; --context FILE asks a controller", socket.display()))
            }
            Side::Controller(context) => Some(format!(
                "the controller of {} was asked; --host NAME or --socket PATH asks a host's agent",
                context.display()
            )),
        }
    }
}

/// What decides who is asked, beside the flags and the environment.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What it is about, in the words of the command line.
    pub what: &'a str,
    /// Who knows of it.
    pub knows: Knows,
    /// Whether `--host` is a field of it at a controller.
    pub host_is_field: bool,
}

impl Global {
    /// The socket to ask.
    pub fn socket_path(&self, environment: &Environment) -> PathBuf {
        let of_host = |name: &str| PathBuf::from(format!("{SOCKET_FOLDER}/{name}.sock"));
        match (&self.socket, &self.host, &environment.socket) {
            (Some(path), ..) => path.clone(),
            (None, Some(name), _) => of_host(name),
            (None, None, Some(path)) if !path.is_empty() => path.into(),
            (None, None, _) => of_host(DEFAULT_HOST),
        }
    }

    /// The context to use, named or found.
    pub fn context_path(&self, environment: &Environment) -> Option<PathBuf> {
        let named = self.context.clone().or_else(|| environment.context.as_ref().map(PathBuf::from));
        named.or_else(|| environment.usual_context())
    }

    /// Who is asked.
    ///
    /// # Errors
    /// When the flags contradict each other or the question, or no context says where the controller is.
    pub fn ask(&self, question: Question<'_>, environment: &Environment) -> Result<Asked, CliError> {
        let Question { what, knows, host_is_field } = question;
        let to_host = self.socket.is_some() || (self.host.is_some() && !host_is_field);
        let to_controller = self.context.is_some();
        let host = |guessed| Ok(Asked { side: Side::Host(self.socket_path(environment)), guessed });
        let controller = |guessed| match self.context_path(environment) {
            Some(context) => Ok(Asked { side: Side::Controller(context), guessed }),
            None => Err(CliError::NoContext {
                what: what.to_owned(),
                looked: environment.contexts.iter().map(|path| path.display().to_string()).collect(),
            }),
        };
        match knows {
            _ if to_host && to_controller => Err(CliError::Usage(
                "--host and --socket ask a host's agent, --context asks a controller; give one of them".to_owned(),
            )),
            Knows::Host if to_controller => Err(CliError::Usage(format!(
                "a controller, which --context asks, knows nothing of {what}; ask a host's agent with --host NAME or \
                 --socket PATH"
            ))),
            Knows::Controller if to_host => Err(CliError::Usage(format!(
                "a host's agent, which --host and --socket ask, knows nothing of {what}; ask a controller with \
                 --context FILE"
            ))),
            Knows::Host => host(false),
            Knows::Controller => controller(false),
            Knows::Both if to_host => host(false),
            Knows::Both if to_controller || environment.context.is_some() => controller(false),
            Knows::Both if environment.socket.is_some() => host(false),
            Knows::Both if environment.usual_context().is_some() => controller(true),
            Knows::Both => host(true),
        }
    }

    /// Whether somebody who named no host could be where a controller is, and not on a host.
    pub fn may_be_at_a_controller(&self, environment: &Environment) -> bool {
        let named = self.socket.is_some() || self.host.is_some() || environment.socket.is_some();
        !named && self.context_path(environment).is_some()
    }

    /// The tenant that is meant, if the flag or the variable names one.
    ///
    /// # Errors
    /// When the variable is no name.
    pub fn named_tenant(&self, environment: &Environment) -> Result<Option<ResourceName>, CliError> {
        let variable = || match environment.tenant.as_ref().map(|value| value.to_string_lossy()) {
            None => Ok(None),
            Some(text) if text.is_empty() => Ok(None),
            Some(text) => {
                text.parse().map(Some).map_err(|error| CliError::Usage(format!("{TENANT_VARIABLE}: {error}")))
            }
        };
        self.tenant.clone().map_or_else(variable, |tenant| Ok(Some(tenant)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::parse;

    fn ask(line: &str, knows: Knows, host_is_field: bool, environment: &Environment) -> Result<Asked, String> {
        let cli = parse(std::iter::once("netvirt").chain(line.split_whitespace()).map(OsString::from)).unwrap();
        let question = Question { what: "ports", knows, host_is_field };
        cli.global.ask(question, environment).map_err(|error| error.to_string())
    }

    fn host(path: &str, guessed: bool) -> Result<Asked, String> {
        Ok(Asked { side: Side::Host(path.into()), guessed })
    }

    fn controller(path: &str, guessed: bool) -> Result<Asked, String> {
        Ok(Asked { side: Side::Controller(path.into()), guessed })
    }

    #[test]
    fn the_socket_is_found_by_flag_host_variable_and_habit_in_this_order() {
        let nothing = Environment::empty();
        let variable = Environment { socket: Some("/v".into()), ..Environment::empty() };
        assert_eq!(ask("status --socket /s", Knows::Both, false, &variable), host("/s", false));
        assert_eq!(ask("status --host host1", Knows::Both, false, &variable), host("/run/netvirt/host1.sock", false));
        assert_eq!(ask("status", Knows::Both, false, &variable), host("/v", false));
        assert_eq!(ask("status", Knows::Both, false, &nothing), host("/run/netvirt/agent.sock", true));
        assert_eq!(ask("--host host2 status", Knows::Host, false, &nothing), host("/run/netvirt/host2.sock", false));
    }

    #[test]
    fn the_controller_is_asked_by_flag_variable_and_what_can_be_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let usual =
            Environment { contexts: vec!["/nowhere/context.yaml".into(), file.path().into()], ..Environment::empty() };
        let both = Environment { socket: Some("/v".into()), context: Some("/c".into()), ..Environment::empty() };
        let socket = Environment { socket: Some("/v".into()), ..usual.clone() };
        assert_eq!(ask("status --context /f", Knows::Both, false, &both), controller("/f", false));
        assert_eq!(ask("status", Knows::Both, false, &both), controller("/c", false));
        assert_eq!(ask("status", Knows::Host, false, &both), host("/v", false));
        assert_eq!(ask("status", Knows::Both, false, &socket), host("/v", false));
        assert_eq!(ask("status", Knows::Both, false, &usual), controller(path, true));
        assert_eq!(ask("status --host host1", Knows::Both, false, &both), host("/run/netvirt/host1.sock", false));
        assert_eq!(
            ask("status --host host1", Knows::Both, true, &both),
            controller("/c", false),
            "--host is the field"
        );
        assert_eq!(
            ask("status --host host1", Knows::Both, true, &Environment::empty()),
            host("/run/netvirt/host1.sock", true)
        );
        let error = ask("status", Knows::Controller, false, &Environment::empty()).unwrap_err();
        assert!(error.contains("give --context FILE or set NETVIRT_CONTEXT"), "{error}");
        let error = ask("status --context /f", Knows::Host, false, &usual).unwrap_err();
        assert!(error.contains("--host NAME or --socket PATH"), "{error}");
        let error = ask("status --host x", Knows::Controller, false, &usual).unwrap_err();
        assert!(error.contains("with --context FILE"), "{error}");
        assert!(
            ask("status --host x --context /f", Knows::Both, false, &usual).unwrap_err().contains("give one of them")
        );
    }

    #[test]
    fn the_tenant_is_named_by_flag_variable_and_habit() {
        let tenant = |line: &str, variable: Option<&str>| {
            let cli = parse(std::iter::once("netvirt").chain(line.split_whitespace()).map(OsString::from)).unwrap();
            let environment = Environment { tenant: variable.map(Into::into), ..Environment::empty() };
            let named = cli.global.named_tenant(&environment).map_err(|error| error.to_string())?;
            Ok::<_, String>(named.map(String::from))
        };
        assert_eq!(tenant("status -t blue", Some("red")), Ok(Some("blue".into())));
        assert_eq!(tenant("status", Some("red")), Ok(Some("red".into())));
        assert_eq!(tenant("status", Some("")), Ok(None));
        assert_eq!(tenant("status", None), Ok(None));
        assert!(tenant("status", Some("a/b")).unwrap_err().starts_with("NETVIRT_TENANT: "));
    }
}

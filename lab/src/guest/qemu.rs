//! The QEMU of a guest: its arguments, its start, and the wait until the guest is up.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use host::Namespace;
use qemu::Qmp;

use super::Kit;
use super::accelerator::Accelerator;
use super::exec::Session;
use super::image::Image;
use super::place::{EXEC_PORTS, Place};
use super::wire::PORT_NAME;
use crate::agent::tail;
use crate::error::InNode;
use crate::state::{Arriving, Guest, Process, State};
use crate::topology::Vm;
use crate::wiring::namespace_name;
use crate::{LabError, UpOptions};

/// The program.
pub(super) const QEMU: &str = "qemu-system-x86_64";

/// How long a guest may take to run its first command. Alone it takes three seconds where it is emulated.
const UP_LIMIT: Duration = Duration::from_secs(60);
/// How long one attempt waits for the guest's answer.
const ATTEMPT: Duration = Duration::from_millis(500);

/// Arguments of any guest: the machine and what it boots. `words` are for the guest's kernel and first process.
pub(super) fn machine(image: &Image, by: Accelerator, memory: u32, cpus: u32, words: &str) -> Vec<String> {
    let (accelerator, processor) = match by {
        Accelerator::Kvm => ("kvm", "host"),
        // What any version of QEMU emulates, and the same on all machines. One thread runs all processors by turns: with
        // one each, 3 of 75 guests of two processors stood still for good on a busy machine.
        Accelerator::Tcg => ("tcg,thread=single", "qemu64"),
    };
    // The kernel reboots at once after a panic, and QEMU ends then: a guest that has failed is not waited for. It is not
    // to judge its timer by what comes within some milliseconds, which on a busy machine is nothing: 2 of 80 gave up so.
    let append = format!("console=ttyS0 panic=-1 no_timer_check {words}");
    let (kernel, initramfs) = (image.kernel.display().to_string(), image.initramfs.display().to_string());
    let mut arguments = vec!["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"];
    arguments.extend(["-machine", "q35", "-accel", accelerator, "-cpu", processor]);
    let (memory, cpus) = (memory.to_string(), cpus.to_string());
    arguments.extend(["-m", &memory, "-smp", &cpus, "-kernel", &kernel, "-initrd", &initramfs]);
    arguments.extend(["-append", append.trim_end()]);
    arguments.into_iter().map(str::to_owned).collect()
}

/// All arguments of a VM's QEMU, whose tap has this name.
fn arguments(vm: &Vm, device: &str, place: &Place, image: &Image, by: Accelerator) -> Vec<String> {
    let mut arguments = machine(image, by, vm.memory(), vm.cpus(), "");
    let mut add = |words: &[String]| arguments.extend_from_slice(words);
    add(&["-name".to_owned(), vm.name.to_string()]);
    // What is where: names have neither blanks nor commas, which have a meaning here.
    add(&["-chardev".to_owned(), format!("file,id=console,path={}", place.console().display())]);
    add(&["-serial".to_owned(), "chardev:console".to_owned()]);
    add(&["-qmp".to_owned(), format!("unix:{},server=on,wait=off", place.qmp().display())]);
    // The first port has a meaning of its own and is left free.
    add(&["-device".to_owned(), format!("virtio-serial-pci,max_ports={}", EXEC_PORTS + 1)]);
    for port in 0..EXEC_PORTS {
        let path = place.exec(port);
        add(&["-chardev".to_owned(), format!("socket,id=exec{port},path={},server=on,wait=off", path.display())]);
        let nr = port + 1;
        add(&["-device".to_owned(), format!("virtserialport,nr={nr},chardev=exec{port},name={PORT_NAME}{port}")]);
    }
    let queues = vm.queues();
    let (mut tap, mut nic) = (
        format!("tap,id=net0,ifname={device},script=no,downscript=no,vhost=off"),
        // Nothing boots from the network, and without the firmware for that it comes up sooner.
        format!("virtio-net-pci,netdev=net0,mac={},romfile=", colons(&vm.mac.octets())),
    );
    if queues > 1 {
        tap += &format!(",queues={queues}");
        // An interrupt for each queue in both directions, one for the control queue, one for changes.
        nic += &format!(",mq=on,vectors={}", 2 * queues + 2);
    }
    add(&["-netdev".to_owned(), tap, "-device".to_owned(), nic]);
    arguments
}

/// A MAC address as QEMU has it.
fn colons(mac: &[u8]) -> String {
    mac.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// How a QEMU begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Begins {
    /// Its guest boots.
    Boots,
    /// It waits for the guest to come from another one.
    Waits,
}

impl Begins {
    const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Boots => &[],
            Self::Waits => &["-incoming", "defer"],
        }
    }
}

/// A connection to a QEMU that was just started.
pub(super) fn await_orders(path: &Path) -> Result<Qmp, LabError> {
    let end = Instant::now() + UP_LIMIT;
    loop {
        // The socket is there a moment before somebody listens.
        match Qmp::connect(path) {
            Ok(qmp) => return Ok(qmp),
            Err(error) if Instant::now() >= end => return Err(error.into()),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Starts a VM's QEMU inside its host and writes its process down. It goes on when the caller ends.
pub(crate) fn start(
    state: &mut State,
    vm: &Vm,
    device: &str,
    Kit { image, choice }: &Kit,
    begins: Begins,
) -> Result<Child, LabError> {
    let (lab, host) = (state.topology.name.clone(), vm.host.as_str());
    let generation = state.guests.get(vm.name.as_str()).map_or(1, |guest| guest.generation + 1);
    let place = Place::new(lab.as_str(), vm.name.as_str(), generation);
    fs::create_dir_all(place.folder()).map_err(|source| LabError::File {
        action: "make the folder",
        path: place.folder().to_owned(),
        source,
    })?;
    let path = place.log();
    let failed = |source| LabError::File { action: "write", path: path.clone(), source };
    let log = File::create(&path).map_err(failed)?;
    let errors = log.try_clone().map_err(failed)?;
    let namespace = Namespace::open(&namespace_name(&lab, host)).in_node(host)?;
    let child = namespace
        .command(QEMU)
        .args(arguments(vm, device, &place, image, choice.accelerator))
        .args(begins.arguments())
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        // A group of its own: what interrupts the caller at the terminal does not reach the guest.
        .process_group(0)
        .spawn()
        .map_err(not_started)?;
    // Who dies between these two lines leaves a QEMU that is found by its host's namespace when the lab is taken down.
    let start_time = host::process::start_time(child.id()).unwrap_or_default();
    let process = Process { pid: child.id(), start_time };
    let guest = Guest { process, generation, choice: choice.clone() };
    let name = vm.name.to_string();
    match begins {
        Begins::Boots => drop(state.guests.insert(name, guest)),
        Begins::Waits => drop(state.arriving.insert(name, Arriving { guest, host: host.to_owned() })),
    }
    state.save()?;
    Ok(child)
}

/// Waits until a guest runs commands.
pub(crate) fn await_up(state: &State, vm: &str, child: &mut Child, options: &UpOptions) -> Result<(), LabError> {
    let lab = state.topology.name.as_str();
    let generation = state.guests.get(vm).map_or(1, |guest| guest.generation);
    let place = Place::new(lab, vm, generation);
    let end = Instant::now() + UP_LIMIT;
    loop {
        options.interrupted.check(lab)?;
        match child.try_wait() {
            Ok(None) => {}
            Ok(Some(status)) => {
                return failed(vm, &place, format!("is not up, because its QEMU ended ({status})"));
            }
            Err(error) => return failed(vm, &place, format!("is not up, because its QEMU is lost ({error})")),
        }
        if Session::attempt(&place, ATTEMPT).is_ok_and(|session| session.is_some()) {
            return Ok(());
        }
        if Instant::now() >= end {
            return failed(vm, &place, format!("is not up within {} s", UP_LIMIT.as_secs()));
        }
    }
}

/// What kept a guest from coming up, with the end of what it and QEMU said.
fn failed<T>(vm: &str, place: &Place, problem: String) -> Result<T, LabError> {
    let log = place.console();
    let said = format!("{}\n{}", tail(&log), fs::read_to_string(place.log()).unwrap_or_default());
    Err(LabError::Guest { vm: vm.to_owned(), problem, log, tail: said.trim_end().to_owned() })
}

/// Why QEMU does not run.
pub(super) fn not_started(source: io::Error) -> LabError {
    LabError::GuestImage(format!(
        "cannot run {QEMU}: {source}; is it installed? (Debian: qemu-system-x86; \"scripts/tools lab\" of the project \
         installs it)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Topology;

    fn arguments_of(fields: &str, by: Accelerator) -> String {
        let text = format!(
            "name: x\nhosts:\n  - {{name: h1, addresses: [192.168.4.11/24]}}\nvms:\n  - {{name: g1, host: h1, mac: \
             06-06-00-00-00-0A, kind: vm{fields}}}\n"
        );
        let topology = Topology::from_yaml(&text).unwrap();
        let image = Image { kernel: "/cache/vmlinuz".into(), initramfs: "/cache/initramfs.cpio".into() };
        let place = Place::new("x", "g1", 1);
        arguments(&topology.vms[0], &topology.vm_devices()[0], &place, &image, by).join(" ")
    }

    #[test]
    fn a_guest_is_what_the_topology_says() {
        let all = arguments_of("", Accelerator::Tcg);
        for words in [
            "-machine q35 -accel tcg,thread=single -cpu qemu64 -m 128 -smp 1 -kernel /cache/vmlinuz -initrd /cache/initramfs.cpio",
            "-netdev tap,id=net0,ifname=g1,script=no,downscript=no,vhost=off -device",
            "virtio-net-pci,netdev=net0,mac=06:06:00:00:00:0a,romfile=",
            "-qmp unix:/run/netvirt/lab/x/g1.guest/1/qmp,server=on,wait=off",
            "path=/run/netvirt/lab/x/g1.guest/1/exec15,server=on",
            "virtserialport,nr=16,chardev=exec15,name=netvirt.exec.15",
        ] {
            assert!(all.contains(words), "{words} is not in: {all}");
        }
        assert!(!all.contains("mq=on") && !all.contains("queues"), "{all}");
    }

    #[test]
    fn queues_have_an_interrupt_for_each_direction() {
        let all = arguments_of(", memory: 256, cpus: 4, queues: 4", Accelerator::Kvm);
        for words in ["-accel kvm -cpu host -m 256 -smp 4", "vhost=off,queues=4", ",mq=on,vectors=10"] {
            assert!(all.contains(words), "{words} is not in: {all}");
        }
    }
}

//! Which kernel modules a guest loads, in which order: read from `modules.dep`, in which depmod wrote down what needs what.

/// What a guest has devices of. What these need follows from the kernel at hand.
pub(super) const WANTED: [&str; 3] = ["virtio_pci", "virtio_net", "virtio_console"];

/// Files of the wanted modules and of all that they need, relative to the folder of `modules.dep`, each after what it
/// needs. What the kernel has built in (`modules.builtin`) needs no file.
///
/// # Errors
/// The name of a module that is nowhere.
pub(super) fn load_order(dependencies: &str, built_in: &str, wanted: &[&str]) -> Result<Vec<String>, String> {
    let mut order: Vec<String> = Vec::new();
    for name in wanted {
        let line = dependencies.lines().find_map(|line| {
            let (file, needs) = line.split_once(':')?;
            (module_name(file) == *name).then_some((file, needs))
        });
        match line {
            // Of the needs the last one stands on its own, and the first one stands on all others.
            Some((file, needs)) => {
                let mut files: Vec<_> = needs.split_whitespace().rev().chain([file]).map(str::to_owned).collect();
                files.retain(|file| !order.contains(file));
                order.extend(files);
            }
            None if built_in.lines().any(|file| module_name(file) == *name) => {}
            None => return Err((*name).to_owned()),
        }
    }
    Ok(order)
}

/// The name of the module in a file. Names have `_` where files may have `-`, and files may be compressed.
fn module_name(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.split_once(".ko").map_or(name, |(name, _)| name).replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPENDENCIES: &str = "\
kernel/drivers/virtio/virtio.ko: kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/virtio/virtio_ring.ko:
kernel/drivers/net/virtio_net.ko: kernel/drivers/net/net_failover.ko kernel/net/core/failover.ko kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/virtio/virtio-pci.ko.xz: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
";

    #[test]
    fn each_module_comes_after_what_it_needs_and_once() {
        let order = load_order(DEPENDENCIES, "", &["virtio_pci", "virtio_net"]).unwrap();
        let names: Vec<_> = order.iter().map(|file| module_name(file)).collect();
        assert_eq!(names, ["virtio_ring", "virtio", "virtio_pci", "failover", "net_failover", "virtio_net"]);
    }

    #[test]
    fn what_is_built_in_has_no_file_and_what_is_nowhere_is_named() {
        let built_in = "kernel/drivers/char/virtio_console.ko\n";
        assert_eq!(load_order(DEPENDENCIES, built_in, &["virtio_console"]), Ok(Vec::new()));
        assert_eq!(load_order(DEPENDENCIES, "", &["virtio_console"]), Err("virtio_console".to_owned()));
    }
}

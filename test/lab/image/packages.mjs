// @ts-check
/** What the hosts of the lab are made of, by Debian package. */

export const packages = [
    // The system itself, as small as it boots.
    "dbus",
    "iproute2",
    "iputils-ping",
    "kmod",
    "openssh-server",
    "procps",
    "psmisc",
    "sudo",
    "systemd-sysv",
    "udev",
    // Where bytes live.
    "cryptsetup-bin",
    "dmeventd",
    "dmsetup",
    "e2fsprogs",
    "lvm2",
    "mdadm",
    "parted",
    "thin-provisioning-tools",
    "xfsprogs",
    // What serves them.
    "drbd-utils",
    "targetcli-fb",
    "tgt",
    // What uses them.
    "fio",
    "lsscsi",
    "multipath-tools",
    "nvme-cli",
    "open-iscsi",
    "qemu-utils",
    "sg3-utils",
    // The initrd's shell: one program that needs no libraries.
    "busybox-static",
];

/** Depends on the current 6.12 kernel for virtual machines, of Debian's security archive or of its backports. */
export const kernelPackage = "linux-image-6.12-cloud-amd64";

/** Kernel modules that find the root file system and the data disks; with what they depend on. */
export const initrdModules = ["virtio_pci", "virtio_blk", "virtio_net", "virtio_scsi", "sd_mod", "ext4"];

import type { Explanation } from "../host/plan";
import { KERNEL_PACKAGES } from "../targets/configfs/explain";

/** How a client gets a name for NVMe. */
export const NVME_NAMES =
    "/etc/nvme/hostnqn and /etc/nvme/hostid are made by Debian's nvme-cli (apt-get install nvme-cli); by hand: `nvme gen-hostnqn > /etc/nvme/hostnqn` where there is none, and the UUID in it into /etc/nvme/hostid";

const MODULES = ["iscsi_tcp", "nvme_tcp"].map((module) => ({
    says: new RegExp(`^module: ${module} `, "m"),
    code: "unsupported" as const,
    summary: `the client's kernel has no module ${module}, or does not load it`,
    hint: `\`modprobe ${module}\` has to work there: as root (or \`sudo: true\`), with ${KERNEL_PACKAGES} of the kernel that runs, and not in a container`,
}));

/** What the words mean that steps of attachments fail with (body.ts, detach.ts). */
const KNOWN: readonly (Explanation & { readonly says: RegExp })[] = [
    {
        says: /^auth: /m,
        code: "auth",
        summary: "the target refuses the client, or its credentials",
        hint: "name this client among the export's `initiators`, with the credentials that the connection has; after a change of secrets, `pulumi up` of the export's own stack first; or the export is gone: `pulumi refresh` of its stack; `dmesg` on an NVMe client tells these apart, and from a target that has stopped answering",
    },
    {
        says: /^parameters: /m,
        code: "invalid",
        summary: "the client's kernel does not take the parameters of the connection",
        hint: "`dmesg` there says which: compare the keys and the target's name in `connection`, and see that /etc/nvme/hostid is a UUID and the one that the client is connected with already; just after a start of the storage host, run the same again",
    },
    {
        says: /^iscsid: /m,
        code: "unsupported",
        summary: "iscsid, the daemon of open-iscsi, does not run on the client, and could not be started",
        hint: "start it there, and at every boot: `systemctl enable --now iscsid.socket`, or the host's own init; `systemctl status iscsid` says what keeps it",
    },
    {
        says: /^keys: /m,
        code: "conflict",
        summary: "the client is connected with other keys, and could not go over to those declared",
        hint: "run the same again; else see `dmesg` there, or disconnect it (`nvme disconnect`, of the package nvme-cli) while nobody uses the device",
    },
    {
        says: /^unreachable: /m,
        code: "unreachable",
        summary: "a portal of the target cannot be reached from the client",
        hint: "see that the storage host is up, that its portals' addresses lead to it from the client (`portals` of the export chooses among them), and by `pulumi refresh` that the export is still there and admits the client; where open-iscsi goes on trying and the portal answers, `systemctl restart iscsid` on the client has it log in, and cuts no session",
    },
    {
        says: /^identity: /m,
        code: "not-found",
        summary: "what the target shows is another device than the one of the export",
        hint: "the connection is of another making of the export: `pulumi refresh` where that is declared, then run the same again",
    },
    {
        says: /^size: /m,
        code: "conflict",
        summary: "the device is smaller than it shall be",
        hint: "the volume has to have grown, and its export with it, before the client can see it: give `sizeBytes` of the volume",
    },
    {
        says: /^multipath: /m,
        code: "command-failed",
        summary: "multipathd does not take the device",
        hint: "see `multipathd show paths` and /etc/multipath.conf on the client (a blacklist?), or set `multipath` to `none`",
    },
    {
        says: /^spare: /m,
        code: "unreachable",
        summary: "no other path carries the device, so the one that was to go stays",
        hint: "see that the storage host answers at its other portals (`multipath -ll`, or `nvme list-subsys` of the package nvme-cli, on the client), then run the same again",
    },
    {
        says: /^others: /m,
        code: "conflict",
        summary: "a session that was to be ended leads to units that are not of this attachment",
        hint: "nothing of it was touched: where nobody uses those, log out there by hand (iscsiadm -m session -r NUMBER --logout), then run the same again",
    },
    {
        says: /^tools: /m,
        code: "unsupported",
        summary: "whether somebody uses the device cannot be told on the client",
        hint: "install there: apt-get install findutils",
    },
    {
        says: /^missing: /m,
        code: "not-found",
        summary: "the client is logged in, but the device has not appeared",
        hint: "see `dmesg` on the client; a connection with another `target_lun` than the export has, or a volume that is gone, look like this",
    },
    ...MODULES,
    {
        says: /^initiator: /m,
        code: "unsupported",
        summary: "the client has no host name or host ID for NVMe",
        hint: NVME_NAMES,
    },
    {
        says: /^no-keys: /m,
        code: "unsupported",
        summary: "the client's kernel has no NVMe in-band authentication",
        hint: "boot one there that has (CONFIG_NVME_HOST_AUTH, before Linux 6.7 CONFIG_NVME_AUTH), or leave `dhchap` out of the export's `initiators`",
    },
    {
        says: /^in-use: /m,
        code: "in-use",
        summary: "the device is in use on the client",
        hint: 'unmount it and stop what has it open; or, if it is to be torn off with all that was not written, set `allow: ["session-drop"]` (of what is to be deleted, `pulumi up` with it first)',
    },
    {
        says: /^flush: /m,
        code: "in-use",
        summary: "what was written to the device cannot be brought to the storage host",
        hint: "bring the storage host back first; or, if what was not written may be lost, set `force: true`, run `pulumi up`, and then delete",
    },
];

export function explain(said: string): Explanation | undefined {
    const found = KNOWN.find(({ says }) => says.test(said));
    if (found === undefined) return undefined;
    const { code, summary, hint } = found;
    return { code, summary, hint };
}

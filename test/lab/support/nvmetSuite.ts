import { deriveDhchapKey } from "../../../provider/targets/dhchap";
import { nvmetTarget } from "../../../provider/targets/nvmet";
import type { OF_KERNEL, PORT, SUBSYSTEM } from "../../../provider/targets/nvmet/body";
import type { NvmetOptions } from "../../../provider/targets/nvmet/options";
import { Secret } from "../../../provider/sh";
import { mark } from "./kernelHost";
import { type Alteration, type KernelSuite, setAttribute } from "./kernelSuite";

const HOST = "nqn.2024-01.com.example:client";
const OTHER = "nqn.2024-01.com.example:other";
const key = (purpose: string, bytes?: 64) =>
    new Secret(deriveDhchapKey("a secret of more than thirty-two bytes", purpose, bytes));

/** Exports by nvmet: every field that can be altered, and how. */
export function nvmetSuite(
    given: Pick<KernelSuite<NvmetOptions>, "connect" | "disconnect" | "devices"> & {
        portal: string;
        other: string;
    },
): KernelSuite<NvmetOptions> {
    return {
        ...given,
        target: nvmetTarget,
        ref: {
            protocol: "nvme-tcp",
            helper: "nvmet",
            portals: [given.portal],
            options: nvmetTarget.options.parse({}),
            stateDirectory: "/var/lib/blockhost-test",
        },
        want: (name, devicePath) => ({
            name,
            mark: mark(name),
            devicePath,
            sizeBytes: 64 * 1024 * 1024,
            readOnly: false,
            initiators: [
                { name: HOST, dhchap: { key: key("host"), controllerKey: key("controller") } },
                { name: OTHER },
            ],
            addresses: [],
            portals: [],
            discard: true,
        }),
        longest: (want) => ({
            ...want,
            initiators: [
                {
                    name: `${HOST}-`.padEnd(222, "x"),
                    dhchap: { key: key("host", 64), controllerKey: key("controller", 64) },
                },
                ...want.initiators.slice(1),
            ],
        }),
        longestPrefix: "nqn.2024-01.com.example:".padEnd(150, "x"),
        changed: (want) => ({
            ...want,
            initiators: [{ name: HOST, dhchap: { key: key("another") } }, { name: `${OTHER}2` }],
        }),
        alterations: alterations(given.other),
        own: "subsystems/*:pg:* hosts/* ports/*",
        shown: [
            [/^subsystems\/[^/]+/, "$n"],
            [/^hosts\/[^/]+/, "$h"],
            [/^ports\/[^/]+/, "$p"],
        ],
        uncompared: { block: UNCOMPARED, file: UNCOMPARED },
        byHand: byHand(given.portal),
        volatile: /:NULL$/,
        unalterable: { block: [], file: [] },
    };
}

/** A subsystem to the same host, with the same keys, on a port at the same address. */
function byHand(portal: string): { make: string; remove: string } {
    const [address = "", port = ""] = portal.split(":");
    const subsystem = "subsystems/nqn.2001-01.org.elsewhere:disk";
    const make = `mkdir hosts/${HOST} ${subsystem} ${subsystem}/namespaces/1 ports/1 &&
printf %s '${key("host").value}' > hosts/${HOST}/dhchap_key && printf %s '${key("controller").value}' > hosts/${HOST}/dhchap_ctrl_key &&
printf %s 'hmac(sha512)' > hosts/${HOST}/dhchap_hash && printf %s ffdhe2048 > hosts/${HOST}/dhchap_dhgroup &&
printf %s /dev/bhtest/two > ${subsystem}/namespaces/1/device_path && printf 1 > ${subsystem}/namespaces/1/enable &&
ln -s "$PWD/hosts/${HOST}" ${subsystem}/allowed_hosts/ &&
printf %s ipv4 > ports/1/addr_adrfam && printf %s ${address} > ports/1/addr_traddr && printf %s tcp > ports/1/addr_trtype &&
printf %s ${port} > ports/1/addr_trsvcid && printf %s non-optimized > ports/1/ana_groups/1/ana_state &&
ln -s "$PWD/${subsystem}" ports/1/subsystems/`;
    const remove = `rm -f ports/1/subsystems/* ${subsystem}/allowed_hosts/*; printf 0 > ${subsystem}/namespaces/1/enable
rmdir ${subsystem}/namespaces/1 ${subsystem} ports/1 hosts/${HOST}`;
    return { make, remove };
}

const WHERE = `n=$(echo subsystems/*:pg:*) h=hosts/${HOST} p=$(echo ports/*); q=\${n#subsystems/}`;

/** Another value of each that is compared: what is added there has to be added here. */
const SUBSYSTEM_VALUES: Readonly<Record<keyof typeof SUBSYSTEM | (typeof OF_KERNEL)[number], string>> = {
    attr_firmware: "x",
    attr_ieee_oui: "0x000005",
    attr_version: "1.2",
    attr_cntlid_min: "5",
    attr_cntlid_max: "500",
    attr_qid_max: "2",
    attr_pi_enable: "1",
};
const PORT_VALUES: Readonly<Record<keyof typeof PORT | "param_inline_data_size", string>> = {
    addr_tsas: "tls1.3",
    addr_treq: "required",
    "ana_groups/1/ana_state": "inaccessible",
    param_inline_data_size: "8192",
    param_max_queue_size: "512",
    param_pi_enable: "1",
};

const PASSTHROUGH = "takes the place of namespaces; refused beside one";

/** Written by nobody who means the export, or of no effect on what hosts get. */
const UNCOMPARED: Readonly<Record<string, string>> = {
    "$n/namespaces/1/revalidate_size": "a command, not a setting",
    "$n/passthru/admin_timeout": PASSTHROUGH,
    "$n/passthru/clear_ids": PASSTHROUGH,
    "$n/passthru/device_path": PASSTHROUGH,
    "$n/passthru/enable": PASSTHROUGH,
    "$n/passthru/io_timeout": PASSTHROUGH,
    "$p/addr_trtype": "of another transport it is none of the export's ports, which is then made beside it",
};

function alterations(other: string): Alteration[] {
    const set = (path: string, value: string, property: string): Alteration =>
        setAttribute(WHERE, path, value, property);
    const closed = (path: string, value: string, property: string): Alteration => ({
        by: `${WHERE}\nprintf 0 > $n/namespaces/1/enable && printf %s '${value}' > ${path} && printf 1 > $n/namespaces/1/enable`,
        property,
    });
    const [address = "", port = ""] = other.split(":");
    return [
        {
            by: `${WHERE}\nrm $n/allowed_hosts/* && printf 1 > $n/attr_allow_any_host`,
            property: "initiators",
        },
        set("$n/attr_serial", "0000", "serial"),
        set("$n/attr_model", "x", "serial"),
        ...Object.entries(SUBSYSTEM_VALUES).map(([name, value]) => set(`$n/${name}`, value, "state")),
        set("$n/namespaces/1/enable", "0", "devicePath"),
        set("$n/namespaces/1/ana_grpid", "2", "state"),
        closed("$n/namespaces/1/device_uuid", "01234567-89ab-8def-8123-456789abcdef", "serial"),
        closed("$n/namespaces/1/device_nguid", "01234567-89ab-8def-8123-456789abcdef", "serial"),
        closed("$n/namespaces/1/buffered_io", "1", "state"),
        closed("$n/namespaces/1/device_path", "/dev/bhtest/two", "devicePath"),
        {
            by: `${WHERE}\nprintf 0 > $n/namespaces/1/enable && rmdir $n/namespaces/1`,
            property: "devicePath",
        },
        { by: `${WHERE}\nmkdir $n/namespaces/7`, property: "devicePath" },
        {
            by: `${WHERE}\nmkdir $n/namespaces/7 && printf %s /dev/bhtest/two > $n/namespaces/7/device_path && printf 1 > $n/namespaces/7/enable`,
            property: "devicePath",
            adds: true,
        },
        set("$h/dhchap_key", key("eve").value, "dhchap"),
        set("$h/dhchap_ctrl_key", key("eve").value, "dhchap"),
        { by: `${WHERE}\nprintf '\\0' > $h/dhchap_key`, property: "dhchap" },
        { by: `${WHERE}\nprintf '\\0' > $h/dhchap_ctrl_key`, property: "dhchap" },
        set("$h/dhchap_hash", "hmac(sha512)", "dhchap"),
        set("$h/dhchap_dhgroup", "ffdhe2048", "dhchap"),
        set(`hosts/${OTHER}/dhchap_key`, key("eve").value, "dhchap"),
        { by: `${WHERE}\nrm $n/allowed_hosts/${HOST}`, property: "initiators" },
        { by: `${WHERE}\nrm $n/allowed_hosts/${HOST} && rmdir $h`, property: "initiators" },
        set("$p/ana_groups/1/ana_state", PORT_VALUES["ana_groups/1/ana_state"], "portals"),
        // Changed only while nothing is on the port.
        ...(
            [
                "addr_treq",
                "addr_tsas",
                "param_inline_data_size",
                "param_max_queue_size",
                "param_pi_enable",
            ] as const
        ).map((name) =>
            setAttribute(
                `${WHERE}\nrm $p/subsystems/$q; trap 'ln -s $PWD/$n $p/subsystems/' EXIT`,
                `$p/${name}`,
                PORT_VALUES[name],
                "portals",
            ),
        ),
        { by: `${WHERE}\nrm $p/subsystems/$q`, property: "portals" },
        { by: `${WHERE}\nrm $p/subsystems/$q && rmdir $p`, property: "portals" },
        {
            by: `${WHERE}\nrm $p/subsystems/$q && printf %s ipv6 > $p/addr_adrfam && printf %s ::1 > $p/addr_traddr && ln -s $PWD/$n $p/subsystems/`,
            property: "portals",
        },
        {
            by: `${WHERE}\nrm $p/subsystems/$q && printf %s ${address} > $p/addr_traddr && printf %s ${port} > $p/addr_trsvcid && ln -s $PWD/$n $p/subsystems/`,
            property: "portals",
        },
    ];
}

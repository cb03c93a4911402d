import { lioTarget } from "../../../provider/targets/lio";
import {
    ALUA,
    ALUA_ACCESS,
    ALUA_GROUP,
    BACKSTORE,
    FIXED,
    identity,
    INITIATOR,
    LOGICAL_UNIT,
    OF_DEVICE,
    PARAMETERS,
    PORTAL_GROUP,
} from "../../../provider/targets/lio/attributes";
import type { LioOptions } from "../../../provider/targets/lio/options";
import { Secret } from "../../../provider/sh";
import { CHAP, CLIENT, mark, MUTUAL, OTHER } from "./kernelHost";
import { type Alteration, another, type KernelSuite, setAttribute } from "./kernelSuite";

/** Exports by LIO: every field that can be altered, and how. */
export function lioSuite(
    given: Pick<KernelSuite<LioOptions>, "connect" | "disconnect" | "devices"> & {
        portal: string;
        other: string;
    },
): KernelSuite<LioOptions> {
    return {
        ...given,
        target: lioTarget,
        ref: {
            protocol: "iscsi",
            helper: "lio",
            portals: [given.portal],
            // The block size is compared only where it is configured.
            options: lioTarget.options.parse({ blockSize: 512 }),
            stateDirectory: "/var/lib/blockhost-test",
        },
        want: (name, devicePath) => ({
            name,
            mark: mark(name),
            devicePath,
            sizeBytes: 64 * 1024 * 1024,
            readOnly: false,
            initiators: [
                { name: CLIENT, chap: CHAP, mutualChap: MUTUAL },
                { name: OTHER, chap: { username: "bob", password: new Secret("Sesame-Open-2") } },
            ],
            addresses: [],
            portals: [],
            discard: true,
        }),
        longest: (want) => ({
            ...want,
            initiators: [
                {
                    name: `${CLIENT}-`.padEnd(223, "x"),
                    chap: { username: "u".repeat(63), password: new Secret("p".repeat(255)) },
                    mutualChap: { username: "t".repeat(63), password: new Secret("q".repeat(255)) },
                },
                ...want.initiators.slice(1),
            ],
        }),
        longestPrefix: "iqn.2024-01.com.example:".padEnd(151, "x"),
        changed: (want) => ({
            ...want,
            readOnly: true,
            discard: false,
            initiators: [
                { name: `${CLIENT}2`, chap: { username: "alice2", password: new Secret("Sesame-Open-3") } },
                { name: OTHER, chap: CHAP, mutualChap: MUTUAL },
            ],
        }),
        alterations: alterations(given.other),
        own: "core/*/pg.* core/*_*/hba_mode iscsi/*:pg:*",
        shown: [
            [/^core\/[^/]+\/pg\.[^/]+/, "$s"],
            [/^core\/[^/]+/, "$h"],
            [/^iscsi\/[^/]+\/tpgt_1\/acls\/[^/]+/, "$a"],
            [/^iscsi\/[^/]+\/tpgt_1/, "$p"],
            [/^iscsi\/[^/]+/, "$t"],
            [/\/np\/[^/]+/, "/np/*"],
        ],
        uncompared: {
            block: {
                ...UNCOMPARED,
                "$s/attrib/emulate_write_cache": "as the device has it; refused",
                "$s/control": "what it sets, `info` says",
                "$s/enable": "cannot be undone",
            },
            file: { ...UNCOMPARED, "$s/attrib/emulate_fua_write": "follows the write cache, and is refused" },
        },
        byHand: byHand(given),
        volatile:
            /:NULL$|\/rtpi:|\/(hba_)?info:|\/pr\/|unit_serial|\/iscsi\/(discovery_auth|lio_version|cpus_allowed)/,
        unalterable: {
            block: [...UNALTERABLE, "pi_prot_type"],
            file: [...UNALTERABLE, "pgr_support"],
        },
    };
}

/** A target to the same initiator, with other credentials and settings, at the same portal and at one of its own. */
function byHand({ devices, portal }: Parameters<typeof lioSuite>[0]): KernelSuite<LioOptions>["byHand"] {
    const where = `s=core/iblock_7/elsewhere t=iscsi/iqn.2001-01.org.elsewhere:disk
p=$t/tpgt_1 a=$t/tpgt_1/acls/${CLIENT}`;
    const values = Object.entries({
        "$s/attrib/emulate_caw": "0",
        "$p/attrib/authentication": "1",
        "$p/attrib/login_timeout": "16",
        "$p/param/TargetAlias": "elsewhere",
        "$a/attrib/dataout_timeout": "4",
        "$a/auth/userid": "elsewhere",
        "$a/auth/password": "Sesame-Else-1",
        "$a/auth/userid_mutual": "elsewhere-back",
        "$a/auth/password_mutual": "Sesame-Else-2",
        "$a/lun_0/write_protect": "1",
        "$p/enable": "1",
    }).map(([path, value]) => `printf %s ${value} > ${path}`);
    const make = `${where}
mkdir core/iblock_7 $s $t $p $p/lun/lun_0 $a $a/lun_0 $p/np/${portal} $p/np/${portal.replace(/:.*$/, ":3261")} &&
printf %s udev_path=${devices[1]} > $s/control && printf %s ${devices[1]} > $s/udev_path &&
printf %s elsewhere > $s/wwn/vpd_unit_serial && printf 1 > $s/enable &&
ln -s "$PWD/$s" $p/lun/lun_0/theirs && ln -s "$PWD/$p/lun/lun_0" $a/lun_0/theirs &&
${values.join(" &&\n")}`;
    const remove = `${where}
printf 0 > $p/enable; rm -f $a/lun_0/theirs $p/lun/lun_0/theirs
rmdir $a/lun_0 $a $p/np/* $p/lun/lun_0 $p $t $s core/iblock_7`;
    return { make, remove, apart: true };
}

/** Values other than the usual, where {@link another} knows none that the kernel takes. */
const VALUES: Readonly<Record<string, string>> = {
    block_size: "4096",
    company_id: "0x000002",
    is_nonrot: "1",
    max_unmap_block_desc_count: "0",
    optimal_sectors: "8192",
    queue_depth: "64",
    unmap_granularity_alignment: "1",
    AuthMethod: "CHAP,None",
    DataDigest: "None",
    HeaderDigest: "None",
    FirstBurstLength: "65540",
    IFMarkInt: "2048",
    OFMarkInt: "2048",
    MaxBurstLength: "262148",
    MaxConnections: "2",
    MaxOutstandingR2T: "2",
    MaxRecvDataSegmentLength: "8196",
    MaxXmitDataSegmentLength: "262148",
    TargetAlias: "x",
};

/** Properties that differences of the portal group's attributes begin with, but `state`. */
const GROUP_PROPERTIES: Readonly<Record<string, string>> = {
    authentication: "chap",
    cache_dynamic_acls: "initiators",
    demo_mode_discovery: "initiators",
    generate_node_acls: "initiators",
};

function alterations(other: string): Alteration[] {
    const set = (path: string, value: string, property: string, on?: "file" | "block"): Alteration =>
        setAttribute(WHERE, path, value, property, on);
    /** What cannot be changed while a target has the unit. */
    const idle = (path: string, value: string, property: string, on?: "file" | "block"): Alteration =>
        setAttribute(
            `${WHERE}\n${UNLINK} && rm "$p/lun/lun_0/blockhost" || exit; trap 'ln -s "$PWD/$s" "$p/lun/lun_0/blockhost"' EXIT`,
            path,
            value,
            property,
            on,
        );
    return [
        ...Object.keys({ ...BACKSTORE, block_size: "512" }).flatMap((name) => {
            const value = VALUES[name] ?? another(BACKSTORE[name] ?? "");
            return FIXED.has(name)
                ? [idle(`$s/attrib/${name}`, value, name === "block_size" ? "blockSize" : "state")]
                : [
                      set(
                          `$s/attrib/${name}`,
                          value,
                          "state",
                          name === "emulate_fua_write" ? "block" : undefined,
                      ),
                  ];
        }),
        idle("$s/attrib/emulate_write_cache", "0", "writeCache", "file"),
        set("$s/attrib/emulate_tpu", "0", "discard"),
        set("$s/attrib/emulate_tpws", "0", "discard"),
        ...OF_DEVICE.map((name) =>
            (FIXED.has(name) ? idle : set)(`$s/attrib/${name}`, VALUES[name] ?? "77", "state"),
        ),
        ...Object.keys(identity(true)).map((name) => idle(`$s/wwn/${name}`, VALUES[name] ?? "x", "serial")),
        ...Object.entries({ ...ALUA, alua_access_state: ALUA_ACCESS.alua_access_state }).map(
            ([name, value]) => set(`$s/alua/${ALUA_GROUP}/${name}`, another(value), "state"),
        ),
        { by: `${WHERE}\nprintf 1 > $s/alua/${ALUA_GROUP}/alua_access_type`, property: "state" },
        {
            by: `${WHERE}\ng=$s/alua/${ALUA_GROUP}; printf 2 > $g/alua_access_state && printf 0 > $g/alua_support_active_optimized && printf 2 > $g/alua_access_type`,
            property: "state",
        },
        {
            by: `${WHERE}\nmkdir core/alua/lu_gps/other && printf 7 > core/alua/lu_gps/other/lu_gp_id && printf other > $s/alua_lu_gp`,
            property: "state",
            after: "rmdir core/alua/lu_gps/other",
        },
        ...Object.entries(LOGICAL_UNIT).map(([name, value]) =>
            set(`$p/lun/lun_0/${name}`, another(value), "state"),
        ),
        {
            by: `${WHERE}\nmkdir "$s/alua/other" && printf 7 > "$s/alua/other/tg_pt_gp_id" && printf other > "$p/lun/lun_0/alua_tg_pt_gp"`,
            property: "state",
            adds: true,
        },
        { by: `${WHERE}\nprintf fd_dev_size=33554432 > "$s/control"`, property: "size", on: "file" },
        ...Object.entries({
            ...PORTAL_GROUP,
            authentication: "1",
            default_cmdsn_depth: "64",
            prod_mode_write_protect: "0",
        }).map(([name, value]) =>
            set(`$p/attrib/${name}`, another(value), GROUP_PROPERTIES[name] ?? "state"),
        ),
        ...Object.entries({ ...PARAMETERS, AuthMethod: "CHAP" }).map(([name, value]) =>
            set(`$p/param/${name}`, VALUES[name] ?? another(value), name === "AuthMethod" ? "chap" : "state"),
        ),
        ...Object.entries(INITIATOR).map(([name, value]) =>
            set(`$a/attrib/${name}`, another(value), "initiators"),
        ),
        set("$a/auth/userid", "eve", "chap"),
        set("$a/auth/userid", "NULL", "chap"),
        set("$a/auth/password", "Sesame-Open-9", "chap"),
        set("$a/auth/password", "NULL", "chap"),
        set("$a/auth/userid_mutual", "eve", "mutualChap"),
        set("$a/auth/password_mutual", "Sesame-Open-9", "mutualChap"),
        set(`$p/acls/${OTHER}/auth/userid_mutual`, "eve", "mutualChap"),
        set(`$p/acls/${OTHER}/auth/password_mutual`, "Sesame-Open-9", "mutualChap"),
        set("$a/cmdsn_depth", "5", "queueDepth"),
        set("$a/lun_0/write_protect", "1", "readOnly"),
        set("$p/enable", "0", "state"),
        { by: `${WHERE}\nrm "$a"/lun_0/blockhost`, property: "devicePath" },
        {
            by: `${WHERE}\nrm "$a"/lun_0/blockhost && ln -s "$PWD/$p/lun/lun_0" "$a/lun_0/x"`,
            property: "devicePath",
        },
        {
            by: `${WHERE}\nmkdir "$a/lun_7" && ln -s "$PWD/$p/lun/lun_0" "$a/lun_7/x"`,
            property: "devicePath",
            adds: true,
        },
        { by: `${WHERE}\nrm "$a"/lun_0/blockhost && rmdir "$a/lun_0"`, property: "devicePath" },
        { by: `${WHERE}\nrm "$a"/lun_0/blockhost && rmdir "$a/lun_0" "$a"`, property: "initiators" },
        { by: `${WHERE}\nmkdir "$p/acls/iqn.2024-01.com.example:eve"`, property: "initiators" },
        {
            by: `${WHERE}\nmkdir "$p/acls/iqn.2024-01.com.example:eve" "$p/acls/iqn.2024-01.com.example:eve/lun_0" && ln -s "$PWD/$p/lun/lun_0" "$p/acls/iqn.2024-01.com.example:eve/lun_0/x"`,
            property: "initiators",
            adds: true,
        },
        { by: `${WHERE}\nrmdir "$p"/np/*`, property: "portals" },
        { by: `${WHERE}\nmkdir "$p/np/${other}"`, property: "portals", adds: true },
        { by: `${WHERE}\n${UNLINK} && rm "$p/lun/lun_0/blockhost"`, property: "devicePath" },
        {
            by: `${WHERE}\n${UNLINK} && rm "$p/lun/lun_0/blockhost" && ln -s "$PWD/$s" "$p/lun/lun_0/x"`,
            property: "devicePath",
        },
        {
            by: `${WHERE}\ng="\${p%/*}/tpgt_2" a="\${p%/*}/tpgt_2/acls/iqn.2024-01.com.example:eve"
mkdir "$g" "$g/np/${other}" "$g/lun/lun_0" && ln -s "$PWD/$s" "$g/lun/lun_0/x" && mkdir "$a" "$a/lun_0" && ln -s "$PWD/$g/lun/lun_0" "$a/lun_0/x" && printf 1 > "$g/enable"`,
            property: "portals",
            adds: true,
        },
        {
            by: `${WHERE}\nmkdir "$p/acls/.eve" "$p/acls/.eve/lun_0" && ln -s "$PWD/$p/lun/lun_0" "$p/acls/.eve/lun_0/x"`,
            property: "initiators",
            adds: true,
        },
        {
            by: `${WHERE}\nmkdir "$p/lun/lun_3" && ln -s "$PWD/$s" "$p/lun/lun_3/x"`,
            property: "devicePath",
            adds: true,
        },
        // The kernel lets no unit go that is shown to somebody, under whatever number.
        {
            by: `${WHERE}\nmkdir "$p/lun/lun_3" "$a/lun_5" && ln -s "$PWD/$s" "$p/lun/lun_3/x" && ln -s "$PWD/$p/lun/lun_3" "$a/lun_5/x"`,
            property: "devicePath",
            adds: true,
        },
        {
            by: `${WHERE}\n${UNLINK} && rm "$p/lun/lun_0/blockhost" && printf 0 > $s/attrib/emulate_tas && printf 1 > $s/attrib/emulate_ua_intlck_ctrl && ln -s "$PWD/$s" "$p/lun/lun_0/blockhost"`,
            property: "state",
        },
        {
            by: `${WHERE}\n${UNLINK} && rm "$p/lun/lun_0/blockhost" && printf x > $s/wwn/vpd_unit_serial && ln -s "$PWD/$s" "$p/lun/lun_0/blockhost"`,
            property: "serial",
        },
        {
            by: `${WHERE}\n${UNLINK} && rm "$p/lun/lun_0/blockhost" && rmdir "$s" && mkdir "$s" && truncate -s 64M /srv/blockhost-test/b.img && printf %s udev_path=/dev/null,fd_dev_name=/srv/blockhost-test/b.img,fd_dev_size=67108864 > "$s/control" && printf 1 > "$s/enable" && ln -s "$PWD/$s" "$p/lun/lun_0/blockhost"`,
            property: "devicePath",
            on: "file",
        },
        {
            by: `${WHERE}\n${UNLINK} && rm "$p/lun/lun_0/blockhost" && rmdir "$s" "\${s%/*}"`,
            property: "devicePath",
        },
        {
            by: `${WHERE}\n${UNLINK} && rm "$p/lun/lun_0/blockhost" && rmdir "$p"/acls/*/lun_0 "$p"/acls/* "$p"/np/* "$p/lun/lun_0" "$p" "\${p%/*}"`,
            property: "state",
        },
        {
            by: `mv /srv/blockhost-test/a.img /srv/blockhost-test/old.img && truncate -s 64M /srv/blockhost-test/a.img`,
            property: "devicePath",
            on: "file",
        },
    ];
}

const UNNAMED = "of initiators that no export names; they are let in nowhere";
const HARDWARE = "another transport at the same portal, by hardware of its own, to the same initiators";

/** Written by nobody who means the export, or of no effect on what initiators get. */
const UNCOMPARED: Readonly<Record<string, string>> = {
    "$h/hba_mode": "of SCSI devices that are passed through",
    "$s/alias": "a name for people; initiators are shown it with emulate_model_alias alone",
    "$s/udev_path": "a note for tools; what LIO has open, `info` says",
    "$s/lba_map": "for a unit whose blocks are reached by different ways: alua_support_lba_dependent",
    "$s/attrib/pi_prot_format": "a command, not a setting",
    "$s/pr/res_aptpl_metadata": "registrations are the initiators' own",
    [`$s/alua/${ALUA_GROUP}/alua_access_status`]: "that the state was once changed, by an initiator as well",
    [`$s/alua/${ALUA_GROUP}/tg_pt_gp_id`]: "the kernel lets nobody change it",
    "$t/param/cmd_completion_affinity": "which processor answers",
    "$a/tag": "a name for people",
    "$p/auth/userid": UNNAMED,
    "$p/auth/password": UNNAMED,
    "$p/auth/userid_mutual": UNNAMED,
    "$p/auth/password_mutual": UNNAMED,
    "$p/np/*/iser": HARDWARE,
    "$p/np/*/cxgbit": HARDWARE,
    "$p/rtpi": "drawn by the kernel, for as long as the target is enabled",
};

/** Linux 6.12: fixed, passed over (the two of them that are deprecated), or refused without protection information. */
const UNALTERABLE = [
    "alua_support",
    "emulate_dpo",
    "emulate_fua_read",
    "emulate_rest_reord",
    "pi_prot_verify",
];

const WHERE = `s=$(echo core/*/pg.*) p=$(echo iscsi/*:pg:*/tpgt_1) a=$(echo iscsi/*:pg:*/tpgt_1/acls/${CLIENT})`;
const UNLINK = `rm "$p"/acls/*/lun_0/blockhost`;

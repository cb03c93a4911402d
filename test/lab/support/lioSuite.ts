import { lioTarget } from "../../../provider/targets/lio";
import type { LioOptions } from "../../../provider/targets/lio/options";
import { Secret } from "../../../provider/sh";
import { CHAP, CLIENT, mark, MUTUAL, OTHER } from "./kernelHost";
import type { Alteration, KernelSuite } from "./kernelSuite";

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
            options: lioTarget.options.parse({}),
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
        volatile:
            /:NULL$|\/rtpi:|\/(hba_)?info:|\/pr\/|unit_serial|\/iscsi\/(discovery_auth|lio_version|cpus_allowed)/,
        stride: 19,
    };
}

function alterations(other: string): Alteration[] {
    const set = (path: string, value: string, property: string, on?: "file" | "block"): Alteration => ({
        by: `${WHERE}\nprintf %s '${value}' > ${path}`,
        property,
        ...(on === undefined ? {} : { on }),
    });
    return [
        set("$s/attrib/emulate_3pc", "0", "state"),
        set("$s/attrib/emulate_caw", "0", "state"),
        set("$s/attrib/emulate_fua_write", "0", "state", "block"),
        set("$s/attrib/emulate_pr", "0", "state"),
        set("$s/attrib/emulate_rsoc", "0", "state"),
        set("$s/attrib/emulate_tpu", "0", "discard"),
        set("$s/attrib/emulate_tpws", "0", "discard"),
        set("$s/attrib/enforce_pr_isids", "0", "state"),
        set("$s/attrib/is_nonrot", "1", "state"),
        set("$s/attrib/max_unmap_block_desc_count", "0", "state"),
        set("$s/attrib/max_unmap_lba_count", "77", "state"),
        set("$s/attrib/max_write_same_len", "77", "state"),
        set("$s/attrib/unmap_granularity", "77", "state"),
        set("$s/attrib/unmap_granularity_alignment", "1", "state"),
        set("$s/attrib/submit_type", "1", "state"),
        set("$p/attrib/authentication", "0", "chap"),
        set("$p/attrib/cache_dynamic_acls", "1", "initiators"),
        set("$p/attrib/default_cmdsn_depth", "65", "state"),
        set("$p/attrib/default_erl", "1", "state"),
        set("$p/attrib/demo_mode_discovery", "1", "initiators"),
        set("$p/attrib/demo_mode_write_protect", "0", "state"),
        set("$p/attrib/fabric_prot_type", "1", "state"),
        set("$p/attrib/generate_node_acls", "1", "initiators"),
        set("$p/attrib/login_keys_workaround", "0", "state"),
        set("$p/attrib/login_timeout", "16", "state"),
        set("$p/attrib/prod_mode_write_protect", "1", "state"),
        set("$p/attrib/t10_pi", "1", "state"),
        set("$p/attrib/tpg_enabled_sendtargets", "0", "state"),
        set("$p/param/AuthMethod", "CHAP,None", "chap"),
        set("$p/param/DataDigest", "None", "state"),
        set("$p/param/ErrorRecoveryLevel", "1", "state"),
        set("$p/param/FirstBurstLength", "65540", "state"),
        set("$p/param/ImmediateData", "No", "state"),
        set("$p/param/InitialR2T", "No", "state"),
        set("$p/param/MaxConnections", "2", "state"),
        set("$p/param/MaxOutstandingR2T", "2", "state"),
        set("$p/param/TargetAlias", "x", "state"),
        set("$a/attrib/authentication", "0", "initiators"),
        set("$a/attrib/dataout_timeout", "4", "initiators"),
        set("$a/attrib/default_erl", "1", "initiators"),
        set("$a/attrib/nopin_timeout", "16", "initiators"),
        set("$a/attrib/random_r2t_offsets", "1", "initiators"),
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
        },
        { by: `${WHERE}\nrm "$a"/lun_0/blockhost && rmdir "$a/lun_0"`, property: "devicePath" },
        { by: `${WHERE}\nrm "$a"/lun_0/blockhost && rmdir "$a/lun_0" "$a"`, property: "initiators" },
        { by: `${WHERE}\nmkdir "$p/acls/iqn.2024-01.com.example:eve"`, property: "initiators" },
        {
            by: `${WHERE}\nmkdir "$p/acls/iqn.2024-01.com.example:eve" "$p/acls/iqn.2024-01.com.example:eve/lun_0" && ln -s "$PWD/$p/lun/lun_0" "$p/acls/iqn.2024-01.com.example:eve/lun_0/x"`,
            property: "initiators",
        },
        { by: `${WHERE}\nrmdir "$p"/np/*`, property: "portals" },
        { by: `${WHERE}\nmkdir "$p/np/${other}"`, property: "portals" },
        { by: `${WHERE}\n${UNLINK} && rm "$p/lun/lun_0/blockhost"`, property: "devicePath" },
        {
            by: `${WHERE}\n${UNLINK} && rm "$p/lun/lun_0/blockhost" && ln -s "$PWD/$s" "$p/lun/lun_0/x"`,
            property: "devicePath",
        },
        { by: `${WHERE}\nmkdir "$p/lun/lun_3" && ln -s "$PWD/$s" "$p/lun/lun_3/x"`, property: "devicePath" },
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

const WHERE = `s=$(echo core/*/pg.*) p=$(echo iscsi/*:pg:*/tpgt_1) a=$(echo iscsi/*:pg:*/tpgt_1/acls/${CLIENT})`;
const UNLINK = `rm "$p"/acls/*/lun_0/blockhost`;

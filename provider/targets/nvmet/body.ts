import { lines, raw, type Sh, sh } from "../../sh";
import { bootDirectory, bootFile, noteApplied, placeOf } from "../boot";
import { IDENTIFY, noteFile, noteFunction } from "../configfs/notes";
import { activate, enter, MAKING, mayAll } from "../configfs/shell";
import { parsePortal } from "../portal";
import type { ExportWanted } from "../types";
import { UNSETTING } from "./keys";
import { controllerKey, hostKey, MODEL, NAMESPACE, type NvmetDeclared, type NvmetRef, ROOT } from "./model";
import { madeDirectory } from "./observe";

/** Attributes that every subsystem has alike: the kernel's defaults. */
export const SUBSYSTEM = {
    attr_cntlid_max: "65519",
    attr_cntlid_min: "1",
    attr_pi_enable: "0",
    attr_qid_max: "128",
};

/** Those whose default is another from kernel to kernel; what a subsystem begins with is noted, and put back. */
export const OF_KERNEL = ["attr_firmware", "attr_ieee_oui", "attr_version"] as const;

/** Attributes, beside their address, of ports that we make: the kernel's defaults. The first two in this order. */
export const PORT = {
    addr_tsas: "none",
    addr_treq: "not specified",
    "ana_groups/1/ana_state": "optimized",
    param_max_queue_size: "1024",
    param_pi_enable: "0",
};

/** `param_inline_data_size`: what the kernel takes by itself are four pages, of 4, 16 or 64 KiB; -1: it has not yet. */
export const INLINE_DATA = ["16384", "65536", "262144", "-1"] as const;

/**
 * The body of a boot file: makes everything that is not there, and writes what differs, taking nothing away. Keys come
 * before a host is admitted, and ports last. Hosts and ports are shared with other exports: one that is there with the
 * same value is used, whoever made it, and only those that we made are changed in what else they have.
 */
export function body(target: NvmetRef, want: ExportWanted, declared: NvmetDeclared): Sh {
    const block = declared.devicePath.startsWith("/dev/");
    const hosts = declared.initiators.map((name) => `hosts/${name}`);
    const made = madeDirectory(target);
    const note = noteFile(target, want.name);
    return lines(
        MAKING,
        FUNCTIONS,
        IDENTIFY,
        noteFunction(target, want.name, WITH_DEFAULTS),
        sh`device=${declared.devicePath} n=${declared.subsystem} made=${made} own= boot=${bootDirectory(target.stateDirectory, target.protocol)}`,
        activate(want.activation),
        sh`[ ${raw(block ? "-b" : "-f")} "$device" ] || fail "there is no ${raw(block ? "block device" : "file")} at $device"`,
        enter(ROOT, ["nvmet", "nvmet-tcp"]),
        sh`[ -d "$made/ports" ] || mkdir -p -m 0700 "$made/hosts" "$made/ports" || exit
for h in ${hosts}; do [ -d "$h" ] || : > "$made/$h" || exit; done
# The kernel lets everybody read the keys that are in there.
mode='-m 0700'
make "$n" "$n"/namespaces/${NAMESPACE} ${hosts} || exit
write "$n/attr_allow_any_host" 0
write "$n/attr_serial" ${declared.serial}
may "$n/attr_model" ${MODEL}`,
        mayAll(raw(`"$n"`), SUBSYSTEM),
        sh`[ ! -s ${note} ] || { read -r v; while read -r k v; do may "$n/$k" "$v"; done; } < ${note}`,
        openNamespace(declared),
        ...want.initiators.map(({ name, dhchap }) =>
            lines(
                sh`key hosts/${name}/dhchap_key ${dhchap?.key ?? ""} ${hostKey(name)}; key hosts/${name}/dhchap_ctrl_key ${dhchap?.controllerKey ?? ""} ${controllerKey(name)}`,
                dhchap === undefined
                    ? undefined
                    : sh`[ ! -e "$made"/hosts/${name} ] || { may hosts/${name}/dhchap_hash 'hmac(sha256)'; may hosts/${name}/dhchap_dhgroup ${declared.dhGroup}; }`,
            ),
        ),
        sh`set --; for h in ${hosts}; do [ -L "$n/allowed_hosts/\${h#hosts/}" ] || set -- "$@" ${ROOT}/"$h"; done
[ $# = 0 ] || ln -s -- "$@" "$n/allowed_hosts/" || exit`,
        ...declared.portals.map((text) => {
            const portal = parsePortal(text);
            if (portal === undefined) throw new TypeError(`not a portal: ${text}`);
            const { address, port, family } = portal;
            const any = family === 6 ? "::" : "0.0.0.0";
            return sh`listen ${family === 6 ? "ipv6" : "ipv4"} ${address} ${port} ${any}
[ ! -e "$made/$p" ] || { ${mayAll(raw('"$p"'), PORT)}; inline; }
link || fail ${`nvmet cannot listen on ${text}`}`;
        }),
        sh`[ -n "$BLOCKHOST_LINKS" ] || ${noteApplied(bootFile(placeOf(target, want.name)))}`,
    );
}

const WITH_DEFAULTS = sh`identify "$device"; for k in ${[...OF_KERNEL]}; do
    v=; [ ! -e "$n/$k" ] || read -r v < "$n/$k"
    [ -z "$v" ] || echo "$k $v"
done`;

/** The namespace's identity cannot change while it is enabled; a size it learns when it is told to look. */
function openNamespace(declared: NvmetDeclared): Sh {
    return sh`s="$n"/namespaces/${NAMESPACE}
v=; read -r v < "$s/enable"
if [ "$v" != 1 ]; then
    write "$s/device_path" "$device"
    write "$s/device_uuid" ${declared.uuid}
    write "$s/device_nguid" ${declared.nguid}
    may "$s/buffered_io" 0
    note && printf 1 > "$s/enable" || fail "nvmet cannot open $device: it may be in use, or its file system cannot be read without the page cache"
elif now=$(identify "$device"); was=$(noted); [ "$now" != "$was" ]; then
    # Another file or device at the path is not the one that is served, and is not noted as that.
    id=\${now#* } id="\${now%% *} \${id%% *}"
    case $was in '' | "$id "*) printf 1 > "$s/revalidate_size" && note || fail "nvmet does not take the new size of $device" ;; esac
fi
may "$s/ana_grpid" 1`;
}

/**
 * `key ATTRIBUTE SECRET NAME`: an empty one is unset, for which the kernel wants a NUL, unless another export relies on it
 * (see {@link UNSETTING}). `listen FAMILY ADDRESS PORT ANY`: sets `$p` to the port for that portal, or to one that listens
 * on all addresses; makes it where there is none. Numbers of our own ports begin where nobody else's tools do. `link`: the
 * subsystem `$n` to that port; at boot, later (`BOOT_SCRIPT`).
 */
const FUNCTIONS = raw(`${UNSETTING.text}
inline() {
    v=; { read -r v < "$p/param_inline_data_size"; } 2>/dev/null
    case $v in '' | ${INLINE_DATA.join(" | ")}) ;; *) write "$p/param_inline_data_size" ${INLINE_DATA[0]} ;; esac
}
link() {
    [ ! -L "$p/$n" ] || return 0
    if [ -n "$BLOCKHOST_LINKS" ]; then printf '%s %s\\n' "$p" "$n" >> "$BLOCKHOST_LINKS"
    else ln -s ${ROOT}/"$n" "$p/subsystems/"; fi
}
key() {
    if [ ! -e "$1" ]; then
        [ -z "$2" ] && return
        fail "the kernel's nvmet has no in-band authentication (CONFIG_NVME_TARGET_AUTH): use a newer kernel, or leave dhchap out"
    fi
    v=; IFS= read -r v < "$1"
    [ "$v" = "$2" ] && return
    if [ -z "$2" ]; then
        ! given "$3" || return 0
        h=\${1%/*}; h=\${h#hosts/}
        ! behind "$h" || fail "$o still admits $h, which its boot file no longer names: update that export first"
        printf '\\0' > "$1"
    else printf %s "$2" > "$1"; fi || fail "nvmet does not take the key of \${1#hosts/}"
}
listen() {
    p= half=
    for d in ports/*; do
        [ -d "$d" ] || continue
        t= f= a= s=
        read -r t < "$d/addr_trtype"; read -r f < "$d/addr_adrfam"; read -r a < "$d/addr_traddr"; read -r s < "$d/addr_trsvcid"
        if [ "$t $f $s" = "tcp $1 $3" ] && [ "$a" = "$2" ]; then p=$d; break; fi
        if [ "$t $f $s" = "tcp $1 $3" ] && [ "$a" = "$4" ]; then p=\${p:-$d}; fi
        if [ -e "$made/$d" ] && [ -z "$s" ]; then half=$d; fi
    done
    [ -z "$p" ] || return 0
    p=$half
    if [ -z "$p" ]; then
        i=25000; while [ -d "ports/$i" ]; do i=$((i + 1)); done
        p=ports/$i
        : > "$made/$p" && mkdir "$p" || { rm -f "$made/$p"; exit 1; }
    fi
    write "$p/addr_adrfam" "$1"; write "$p/addr_traddr" "$2"; write "$p/addr_trtype" tcp; write "$p/addr_trsvcid" "$3"
}`);

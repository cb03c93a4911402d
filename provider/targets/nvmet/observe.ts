import { raw, type Sh, sh } from "../../sh";
import { bootDirectory } from "../boot";
import { noteDirectory } from "../configfs/notes";
import type { ObservedTree } from "../configfs/observe";
import { type NvmetRef, ROOT } from "./model";
import { ARRIVED, ASKS, LEFT, STARTED } from "./own";

const ATTRIBUTES = [
    "attr_allow_any_host",
    "attr_cntlid_max",
    "attr_cntlid_min",
    "attr_firmware",
    "attr_ieee_oui",
    "attr_model",
    "attr_pi_enable",
    "attr_qid_max",
    "attr_serial",
    "attr_version",
    "ana_grpid",
    "ana_state",
    "buffered_io",
    "device_nguid",
    "device_path",
    "device_uuid",
    "enable",
    "addr_adrfam",
    "addr_traddr",
    "addr_treq",
    "addr_trsvcid",
    "addr_trtype",
    "addr_tsas",
    "dhchap_dhgroup",
    "dhchap_hash",
    "param_inline_data_size",
    "param_max_queue_size",
    "param_pi_enable",
];

/** Those that exports have, though the configuration names them no more: hosts may be connected there. */
const PORTS = `for f in ports/*/addr_trsvcid; do
    v=; { read -r v < "$f"; } 2>/dev/null
    case $v in '' | *[!0-9]*) ;; *) ports="$ports|$(printf %04X "$v")" ;; esac
done`;

const LOG = sh`echo '== log'
    dmesg 2>/dev/null | grep -E -e ${STARTED} -e ${ARRIVED} -e ${ASKS} -e ${LEFT}`;

/**
 * What is read of nvmet: our own subsystems, the hosts that they admit, and all ports (none where none of ours is left to
 * be judged by them); with all exports also what others have there. Sections more:
 *
 *     == links            ports/<id>/subsystems/<NQN>, of ours
 *     == made             shared objects that we made: `hosts/<NQN>`, `ports/<id>`; `hosts/*`: none
 *     == log              who connected since the host started, as the kernel's log has it; nothing where no host is
 *     == keyed            of some exports: secrets of their hosts that are set and only others' boot files have
 *     == authentication   `yes` or `no`; nothing: it cannot be told
 */
export function observed(target: NvmetRef, only?: readonly string[]): ObservedTree {
    return {
        root: "nvmet",
        modules: [
            { name: "nvmet", shownBy: "/sys/kernel/config/nvmet" },
            { name: "nvmet_tcp", shownBy: "/sys/module/nvmet_tcp" },
        ],
        choose: raw(
            only === undefined
                ? `set -- subsystems/* hosts/* ports/*
    for d; do shift; [ ! -d "$d" ] || set -- "$@" "$d"; done`
                : `set -- $roots
    if [ $# -gt 0 ]; then
        set -- "$@" ports/*
        for r in $roots; do for h in "$r"/allowed_hosts/*; do set -- "$@" "hosts/\${h##*/}"; done; done
        for d; do shift; [ ! -d "$d" ] || set -- "$@" "$d"; done
    fi`,
        ),
        objects: raw(
            'for d; do show "$d" "$d"/namespaces/* "$d"/allowed_hosts/* "$d"/allowed_hosts/.[!.]*; done',
        ),
        attributes: ATTRIBUTES,
        prune: ["subsystems", "passthru", "referrals"],
        secrets: { of: raw('"$@"'), paths: raw('"$d"/dhchap_*key') },
        whereConnected: LOG,
        ports: raw(PORTS),
        more:
            only === undefined
                ? more(target)
                : sh`${more(target)}
${keyed(target)}`,
    };
}

/** One `printf` for all notes: there is one for each host, and a line written by itself is a packet by itself. */
function more(target: NvmetRef): Sh {
    return sh`echo '== links'
for p in ports/*; do for r in $roots; do [ ! -L "$p/$r" ] || echo "$p/$r"; done; done
echo '== authentication'
a=; for h in hosts/*; do [ ! -d "$h" ] || { a=no; [ ! -e "$h/dhchap_key" ] || a=yes; break; }; done
[ -n "$a" ] || ! grep -qs '^# CONFIG_NVME_TARGET_AUTH is not set' "/boot/config-$(uname -r)" || a=no
echo $a
echo '== made'
if cd ${madeDirectory(target)} 2>/dev/null; then printf '%s\\n' hosts/* ports/*; fi`;
}

/** Where a host has a key that is in no boot file that was read, others may have it. That is rare, and takes a process. */
function keyed(target: NvmetRef): Sh {
    const files = sh`${bootDirectory(target.stateDirectory, target.protocol)}/*`;
    return sh`echo '== keyed'
cd ${ROOT} 2>/dev/null && for r in $roots; do for l in "$r"/allowed_hosts/*; do
    h=\${l##*/}
    for k in host=dhchap_key controller=dhchap_ctrl_key; do
        v=; { IFS= read -r v < "hosts/$h/\${k#*=}"; } 2>/dev/null
        k="\${k%%=*} $h"
        [ -n "$v" ] || continue
        case $found in *"\\"$k\\":"*) continue ;; esac
        ! grep -qsF -- "\\"$k\\":" ${files} || echo "$k"
    done
done; done`;
}

/** Notes of shared objects that we made; they go with the kernel's objects when the host restarts. */
export function madeDirectory(target: NvmetRef): string {
    return `${noteDirectory(target)}-made`;
}

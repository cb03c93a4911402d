import { raw, type Sh, sh } from "../../sh";
import { noteDirectory } from "../configfs/notes";
import { type ObservedTree, portsOf } from "../configfs/observe";
import { socketPattern } from "../configfs/sections";
import type { NvmetRef } from "./model";

const ATTRIBUTES = [
    "attr_allow_any_host",
    "attr_cntlid_max",
    "attr_cntlid_min",
    "attr_model",
    "attr_pi_enable",
    "attr_qid_max",
    "attr_serial",
    "ana_grpid",
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
];

/**
 * What is read of nvmet: our own subsystems, the hosts that they admit, and all ports; with all exports also what others
 * have there. Three sections more:
 *
 *     == links            ports/<id>/subsystems/<NQN>, of ours
 *     == made             shared objects that we made: `hosts/<NQN>`, `ports/<id>`
 *     == peers            connections on our ports, as in /proc/net/tcp
 *     == log              who connected since the host started, as the kernel's log has it
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
                : `set -- $roots ports/*
    for r in $roots; do for h in "$r"/allowed_hosts/*; do set -- "$@" "hosts/\${h##*/}"; done; done
    for d; do shift; [ ! -d "$d" ] || set -- "$@" "$d"; done`,
        ),
        attributes: ATTRIBUTES,
        prune: ["subsystems", "passthru", "ana_groups", "referrals"],
        secrets: raw(`for d; do case $d in hosts/*) printf '%s\\0' "$d"/dhchap_*key ;; esac; done`),
        more: more(target),
    };
}

function more(target: NvmetRef): Sh {
    const pattern = socketPattern(portsOf(target), "01");
    return sh`echo '== links'
for p in ports/*; do for r in $roots; do [ ! -L "$p/$r" ] || echo "$p/$r"; done; done
echo '== made'
for f in ${madeDirectory(target)}/hosts/* ${madeDirectory(target)}/ports/*; do [ ! -e "$f" ] || { d=\${f%/*}; echo "\${d##*/}/\${f##*/}"; }; done
echo '== peers'
grep -sHE ${pattern} /proc/net/tcp /proc/net/tcp6
echo '== log'
dmesg 2>/dev/null | grep -e ' Linux version ' -e 'nvmet: .* controller .* for NQN '
echo '== authentication'
a=; for h in hosts/*; do [ ! -d "$h" ] || { a=no; [ ! -e "$h/dhchap_key" ] || a=yes; break; }; done
[ -n "$a" ] || ! grep -qs '^# CONFIG_NVME_TARGET_AUTH is not set' "/boot/config-$(uname -r)" || a=no
echo $a`;
}

/** Notes of shared objects that we made; they go with the kernel's objects when the host restarts. */
export function madeDirectory(target: NvmetRef): string {
    return `${noteDirectory(target)}-made`;
}

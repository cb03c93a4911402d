import { joined, raw, type Sh, sh } from "../../sh";
import { bootDirectory, bootFile, placeOf } from "../boot";
import { controllerKey, hostKey, type NvmetExport, type NvmetRef } from "./model";

/**
 * Shell functions that tell whether a host's key may be unset, which is for all exports: without it whoever calls himself
 * that host reaches what they export. `given NAME`: a boot file, but `$own`, in `$boot` has a secret of that name.
 * `behind HOST`: a subsystem, but `$n`, still admits it though no boot file says so (somebody else's, or a change that was
 * cut short), `$o`.
 */
export const UNSETTING = raw(`given() {
    k=$1; set -- /dev/null
    for f in "$boot"/*; do [ "$f" = "$own" ] || set -- "$@" "$f"; done
    grep -qsF -- "\\"$k\\":" "$@"
}
behind() {
    for l in subsystems/*/allowed_hosts/"$1"; do
        o=\${l%/allowed_hosts/*}
        [ -L "$l" ] && [ "$o" != "$n" ] || continue
        f=$(grep -lsxF -- "#bh roots $o" /dev/null "$boot"/*) && grep -qsF -- "\\"$1\\"" "$f" || return 0
    done
    return 1
}`);

/**
 * Unsets keys that an export was the last to give, of hosts that others admit without. Runs in nvmet's directory.
 *
 * @param removed its own boot file, which still has them, does not count
 */
export function unsetLast(
    target: NvmetRef,
    before: NvmetExport,
    others: readonly NvmetExport[],
    removed: boolean,
): Sh {
    const admitted = new Set(others.flatMap(({ declared }) => declared.initiators));
    const last = before.declared.initiators.flatMap((host) => {
        if (!admitted.has(host)) return [];
        const keys = { dhchap_key: hostKey(host), dhchap_ctrl_key: controllerKey(host) };
        return Object.entries(keys)
            .filter(([, name]) => before.secrets[name] !== undefined)
            .filter(([, name]) => others.every(({ secrets }) => secrets[name] === undefined))
            .map(([attribute, name]) => ({ host, path: `hosts/${host}/${attribute}`, name }));
    });
    if (last.length === 0) return raw("");
    const own = removed ? bootFile(placeOf(target, before.name)) : "";
    return sh`
${UNSETTING}
n=${before.declared.subsystem} own=${own} boot=${bootDirectory(target.stateDirectory, target.protocol)}
${joined(
    last.map(({ host, path, name }) => {
        const is = sh`v=; [ ! -e ${path} ] || IFS= read -r v < ${path}`;
        return sh`${is}; [ -z "$v" ] || given ${name} || behind ${host} || printf '\\0' > ${path} || exit\n`;
    }),
)}`;
}

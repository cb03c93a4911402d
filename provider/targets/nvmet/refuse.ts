import { BlockhostError } from "../../errors";
import { GUARD_FAILED } from "../../host/plan";
import { raw, type Sh, sh } from "../../sh";
import { UNKNOWN } from "../../validate";
import { exportsOf, extraOf, othersThan, secretHash } from "../configfs/model";
import { refuseAddresses, refuseTaken } from "../configfs/portals";
import type { Agreed, ExportWanted } from "../types";
import {
    controllerKey,
    hostKey,
    type NvmetContext,
    type NvmetDeclared,
    type NvmetExport,
    nqnOf,
    ROOT,
} from "./model";
import { ownOf, portFor, tcpPorts, UNSET, unusable } from "./own";
import { declare } from "./model";

/** Refuses what the rest of the host does not allow. */
export function refuse(
    context: NvmetContext,
    want: ExportWanted,
    declared: NvmetDeclared,
    before?: NvmetExport,
): void {
    const { facts } = context;
    const own = ownOf(facts);
    const nqn = nqnOf(declared);
    if (own?.authentication === false && want.initiators.some(({ dhchap }) => dhchap !== undefined)) {
        throw new BlockhostError("unsupported", "the kernel's nvmet has no in-band authentication", {
            property: "initiators",
            hint: "it needs a kernel with CONFIG_NVME_TARGET_AUTH (Debian: linux-image 6.12, from bookworm-backports or trixie); or leave `dhchap` out",
        });
    }
    const extra = extraOf(facts);
    refuseTaken(extra, declared.portals);
    refuseAddresses(extra, declared.portals);
    refuseOthersPorts(context, declared, before);
    const { secrets } = declare(context, want, nqn);
    for (const name of declared.initiators) refuseKeys(context, want, name, keysOf(secrets, name), before);
}

/** A port with our address that somebody else has made is used as it is, as long as hosts get through. */
function refuseOthersPorts({ facts }: NvmetContext, declared: NvmetDeclared, before?: NvmetExport): void {
    const { tree } = before?.live ?? extraOf(facts).live;
    const ports = tcpPorts(tree);
    for (const portal of declared.portals) {
        const port = portFor(ports, portal);
        if (port === undefined || ownOf(facts)?.made.has(port.path) === true) continue;
        const why = unusable(tree, port.path);
        if (why === undefined) continue;
        throw new BlockhostError("not-ours", `portals: on ${portal} no host can be served: ${why}`, {
            property: "portals",
            hint: "it stays untouched: put it right by hand, or give the export other `portals`",
        });
    }
}

interface Keys {
    readonly key: string;
    readonly controllerKey: string;
}

function keysOf(secrets: Readonly<Record<string, string>>, name: string): Keys {
    return { key: secrets[hostKey(name)] ?? UNSET, controllerKey: secrets[controllerKey(name)] ?? UNSET };
}

function sameKeys(a: Keys, b: Keys): boolean {
    return a.key === b.key && a.controllerKey === b.controllerKey;
}

/** Whether `a` gives what `b` does, or less. */
function atMost(a: Keys, b: Keys): boolean {
    const fits = (one: string, other: string) => one === other || one === UNSET;
    return fits(a.key, b.key) && fits(a.controllerKey, b.controllerKey);
}

/** Whether they differ only in what one of both does not set. */
function compatible(a: Keys, b: Keys): boolean {
    const fits = (one: string, other: string) => one === other || one === UNSET || other === UNSET;
    return fits(a.key, b.key) && fits(a.controllerKey, b.controllerKey);
}

/**
 * A host has its keys for all exports alike. So an export that newly names a host has to agree with those that already
 * do. One that changes the keys it gave a host before may do so while the others still have the former ones: they follow,
 * in the same run of the program (see {@link agreed}), or are told. One that no longer gives any leaves those that others
 * still give: these lose nothing, and go on as they are.
 */
function refuseKeys(
    context: NvmetContext,
    want: ExportWanted,
    name: string,
    wanted: Keys,
    before: NvmetExport | undefined,
): void {
    const former =
        before?.declared.initiators.includes(name) === true ? keysOf(before.secrets, name) : undefined;
    const others = othersThan<NvmetDeclared>(context.facts, want.name);
    for (const other of others) {
        if (!other.declared.initiators.includes(name)) continue;
        const theirs = keysOf(other.secrets, name);
        if (sameKeys(theirs, wanted)) continue;
        const follows = former !== undefined && atMost(theirs, former) && !sameKeys(former, wanted);
        const goesOn = former !== undefined && sameKeys(former, wanted) && compatible(theirs, wanted);
        if (!follows && !goesOn) throw clash(want.name, other.name, name);
    }
    const start = reservation(name);
    for (const text of context.host.reserved) {
        if (!text.startsWith(start) || text.startsWith(`${start}${wanted.key}/${wanted.controllerKey}\n`))
            continue;
        const other = text.split("\n")[1] ?? "";
        if (other !== want.name) throw clash(want.name, other, name);
    }
    const own = ownOf(context.facts);
    const live = own?.hosts.get(name);
    if (live === undefined) return;
    // What is not given here, and by another export of ours, stays: see body.ts.
    const given = (secret: string) => others.some(({ secrets }) => secrets[secret] !== undefined);
    const effect = {
        key: wanted.key === UNSET && given(hostKey(name)) ? live.key : wanted.key,
        controllerKey:
            wanted.controllerKey === UNSET && given(controllerKey(name))
                ? live.controllerKey
                : wanted.controllerKey,
    };
    if (sameKeys(live, effect)) return;
    const theirs = own?.admitted.get(name);
    if (theirs === undefined && own?.made.has(`hosts/${name}`) === true) return;
    const ours =
        former !== undefined ||
        exportsOf<NvmetDeclared>(context.facts).some((one) => one.declared.initiators.includes(name));
    // Notes of what we made may be lost; then it matters who else has it.
    if (ours && theirs === undefined) return;
    const whose =
        theirs === undefined ? "none of our exports made it" : `${theirs}, which is none of ours, admits it`;
    throw new BlockhostError("not-ours", `nvmet already has host ${name}, with other keys, and ${whose}`, {
        property: "initiators",
        hint: "nvmet has one pair of keys for a host, whatever it connects to: give `dhchap` the same keys as there are, or remove that host by hand",
    });
}

function clash(one: string, other: string, host: string): BlockhostError {
    return new BlockhostError("exists", `exports "${one}" and "${other}" give host ${host} different keys`, {
        property: "initiators",
        hint: `${ONE_PAIR}. An export that newly names a host whose keys change comes in a run after that`,
    });
}

const ONE_PAIR =
    "nvmet has one pair of keys for a host, whatever it connects to: give `dhchap` the same value in all exports to that host (and leave it out of all, or of none)";

/** Keys of hosts, as far as they are known. */
export function agreed({ initiators }: ExportWanted): readonly Agreed[] {
    return initiators.flatMap(({ name, dhchap }, i): Agreed[] => {
        const keys = [dhchap?.key.value, dhchap?.controllerKey?.value];
        if ([name, ...keys].includes(UNKNOWN)) return [];
        const value = keys.map((key) => (key === undefined ? "" : secretHash(key))).join("/");
        return [{ path: `initiators[${String(i)}].dhchap`, to: `host ${name}`, value, reason: ONE_PAIR }];
    });
}

/**
 * Ends the plan if a host has other keys by now than those that {@link refuseKeys} knew of, or has come since: another
 * stack's export may have given them. The shell compares them itself; a process hashes them only where they are going to
 * be changed.
 */
export function guardKeys({ facts }: NvmetContext, want: ExportWanted): Sh {
    const known = ownOf(facts)?.hosts;
    return want.initiators
        .map(({ name, dhchap }) => {
            const { key = "", controllerKey: controller = "" } = known?.get(name) ?? {};
            return sh`
asSeen ${`${ROOT}/hosts/${name}`} ${dhchap?.key ?? ""} ${dhchap?.controllerKey ?? ""} ${`${key} ${controller}`}`;
        })
        .reduce((all, one) => sh`${all}${one}`, AS_SEEN);
}

/** `asSeen HOST KEY CONTROLLER-KEY HASHES`: it is not there, or has the keys that are wanted or those that were seen. */
const AS_SEEN = raw(`asSeen() {
    [ -e "$1/dhchap_key" ] || return 0
    k= c=; IFS= read -r k < "$1/dhchap_key"; IFS= read -r c < "$1/dhchap_ctrl_key"
    [ "$k" != "$2" ] || [ "$c" != "$3" ] || return 0
    k=$4; set -- "$1" $(sha256sum -- "$1/dhchap_key" "$1/dhchap_ctrl_key")
    [ "$2 $4" = "$k" ] || { echo "host \${1##*/} has other keys now" >&2; exit ${String(GUARD_FAILED)}; }
}`);

function reservation(name: string): string {
    return `nvmet/host/${name}=`;
}

export function reserved(context: NvmetContext, want: ExportWanted, declared: NvmetDeclared): string[] {
    const { secrets } = declare(context, want, nqnOf(declared));
    return declared.initiators.map((name) => {
        const { key, controllerKey: controller } = keysOf(secrets, name);
        return `${reservation(name)}${key}/${controller}\n${want.name}`;
    });
}

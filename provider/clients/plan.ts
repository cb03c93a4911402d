import { BlockhostError } from "../errors";
import { describeOwner, encodeMark, type Mark, sameOwner } from "../host/mark";
import { NOTHING, type Plan, type Step } from "../host/plan";
import { type Sh, sh } from "../sh";
import {
    bootDirectory,
    bootFile,
    type BootPlace,
    guardBootFile,
    remarkBootFile,
    writeBootFile,
} from "../targets/boot";
import { body } from "./body";
import { installUnit, removeUnit } from "./bootUnit";
import { authLines, credentialsFor, initiatorOf, keyLines, sha256 } from "./connection";
import { flush, refuseUsers, refuseUsersSince, takeDown } from "./detach";
import { explain, NVME_NAMES } from "./explain";
import {
    carries,
    differences,
    isJoined,
    pathlessMap,
    pathsOf,
    sizeSeen,
    surplusPaths,
    undeclaredRecords,
} from "./faults";
import { CLIENT_TOOLS } from "./observe";
import { AUTH } from "./parse";
import type {
    AttachmentFacts,
    AttachmentWanted,
    ClientContext,
    ClientFacts,
    Credentials,
    Declared,
    PathFacts,
} from "./types";

/** Written into the digest: another version of the script is written anew. */
const BODY_VERSION = 8;
/** Milliseconds that a login may take, at most, for each portal, and to find out why it failed. */
const LOGIN_TIMEOUT = 55_000;
/** For the device and all its paths to be there and to have grown, former ones to go, and all to be taken back if it fails. */
const DEVICE_TIMEOUT = 300_000;
/** Milliseconds for what was written to be brought to the storage host: as long as it goes on; see {@link flush}. */
const FLUSH_TIMEOUT = 600_000;

/** What a declaration comes to on this client. */
export function declare(
    facts: ClientFacts,
    want: AttachmentWanted,
    before: AttachmentFacts | undefined,
): { declared: Declared; credentials: Credentials; auth: string } {
    const { connection, multipath } = want;
    const { protocol, target, portals, unit, serial, uuid } = connection;
    const iscsi = protocol === "iscsi";
    const initiator = initiatorOf(facts, protocol) ?? "";
    const credentials = credentialsFor(connection, initiator);
    const able = iscsi ? facts.multipathd : facts.nativeMultipath;
    const ways = able ? "all" : "one";
    // multipathd that is just not running does not turn an attachment into another one, and takes no device in use: what it
    // has not joined stays as it is. A device that it has joined is the same with another path.
    const kept = iscsi && before?.declared.multipath === multipath ? before.declared : undefined;
    const stays = kept !== undefined && !(able && isJoined(facts, kept));
    const several = portals.length > 1 && (stays ? kept.paths : ways) === "all";
    const paths = multipath === "require" || (multipath === "prefer" && several) ? "all" : "one";
    const secrets = iscsi ? authLines(credentials) : keyLines(credentials);
    const plain: Omit<Declared, "digest"> = {
        protocol,
        target,
        portals: [...portals],
        unit,
        ...(serial === undefined ? {} : { serial }),
        ...(uuid === undefined ? {} : { uuid }),
        multipath,
        paths,
        initiator,
    };
    const size = want.sizeBytes ?? 0;
    const digest = sha256(JSON.stringify([BODY_VERSION, want.mark.generation, plain, size, secrets]));
    return { declared: { ...plain, digest }, credentials, auth: sha256(secrets) };
}

/** Without anything allowed. */
const AS_IT_IS = { devicePath: "", inUse: false, force: false, ignoreErrors: false } as const;

/** Whether a boot file, as of a creation that was cut short before Pulumi had recorded it, is of what is wanted now. */
function isSame({ protocol, target, unit }: Declared, { connection }: AttachmentWanted): boolean {
    return protocol === connection.protocol && target === connection.target && unit === connection.unit;
}

/**
 * Attach, finish, heal or change. The boot file comes first: it says what is declared, and that it was not carried out
 * yet. Its own script, written anew since nobody compares it, does the rest. A first attempt that is refused takes back all
 * that it has made. Where the boot file is of another export, that is detached, and the next round attaches.
 *
 * @throws BlockhostError `unsupported` (tools, initiator name, multipath), `not-ours`, `exists`, `in-use`, `invalid`.
 */
export function attach(context: ClientContext, want: AttachmentWanted, orphan?: AttachmentFacts): Plan {
    const { facts, stateDirectory } = context;
    const unreadable = facts.unreadable.get(want.name);
    if (unreadable !== undefined)
        throw new BlockhostError(
            "not-ours",
            `attachment "${want.name}" has a boot file that cannot be read: ${unreadable}`,
            {
                hint: "it stays untouched: give this attachment another `name`",
            },
        );
    const before = facts.attachments.get(want.name) ?? orphan;
    if (before !== undefined) refuseOthers(before, want);
    requireClient(context, want);
    refuseConflicts(context, want, before);
    if (before !== undefined && before.orphaned !== true && !isSame(before.declared, want))
        return detach(context, { ...AS_IT_IS, name: want.name, mark: want.mark });
    const { declared, credentials, auth } = declare(facts, want, before);
    if (before !== undefined) refuseFormerName(facts, before.declared, declared);
    const written =
        before !== undefined &&
        before.orphaned !== true &&
        before.declared.digest === declared.digest &&
        encodeMark({ ...before.mark, phase: "ready" }) === encodeMark({ ...want.mark, phase: "ready" });
    const size = want.sizeBytes ?? 0;
    const grown = (sizeSeen(facts, declared) ?? 0) < size;
    const faults = before === undefined ? ["missing"] : differences(facts, { ...before, declared, auth });
    if (written && before.applied && faults.length === 0 && !grown) return NOTHING;
    const place = placeOf(stateDirectory, want.name);
    const file = bootFile(place);
    const paths = pathsOf(facts, declared);
    const surplus = surplusPaths(facts, declared);
    const extra = paths.filter((path) => !declared.portals.includes(path.portal) || surplus.includes(path));
    const joined = isJoined(facts, declared);
    // A path connects again with what it began with. The kernel's NVMe goes over to another controller by itself (body.ts).
    const outdated = paths.filter(
        (path) => !extra.includes(path) && path.keys !== undefined && path.keys !== auth,
    );
    const anew = declared.protocol === "nvme-tcp" && joined ? [] : outdated;
    const kept = paths.filter((path) => !extra.includes(path));
    // Over several portals those that carry nothing go first, and when all are back, the others one after the other.
    const inTurn = joined && declared.paths === "all" && declared.portals.length > 1;
    const carry = (path: PathFacts) => carries(facts, declared, path);
    const given = [...portalsOf(extra), ...undeclaredRecords(facts, declared)];
    const lost = [...new Set([...given, ...portalsOf(anew.filter((path) => !inTurn || !carry(path)))])];
    // Their node records have the credentials already, and what else the administrator has set there.
    const recorded = lost.filter((portal) => !given.includes(portal));
    const turns = portalsOf(anew).filter((portal) => !lost.includes(portal));
    const stay = kept.filter(({ portal }) => !lost.includes(portal));
    const goes = paths.some(({ portal }) => lost.includes(portal));
    const cut = goes && (!joined || stay.length === 0 || (!stay.some(carry) && paths.some(carry)));
    const unit = `clients/boot-unit/${stateDirectory}`;
    const header = {
        mark: want.mark,
        sizeBytes: size,
        targetName: declared.target,
        accounts: [],
        declared,
        secrets: { [AUTH]: auth },
    };
    const undo = before === undefined ? undoing(declared, place, stateDirectory) : undefined;
    const run = (stage: string) => {
        const script = sh`sh ${file} ${stage}`;
        return undo === undefined ? script : sh`${script} || { bh_s=$?; ( ${undo} ) >&2; exit $bh_s; }`;
    };
    const connect: Step[] = [
        { label: `log in to ${declared.target}`, script: run(before === undefined ? "login" : "again") },
        { label: "wait for the device", script: run("device") },
    ];
    // Credentials that have changed are on file in any case: after a boot nothing else lets the client in.
    const onFile = { label: "put the credentials on file", script: run("records") };
    const write: Step[] = [
        writeBootFile(place, header, body(declared, credentials, size, file)),
        ...(anew.length > 0 && declared.protocol === "iscsi" ? [onFile] : []),
    ];
    const refuse = cut && want.inUse !== true ? [refusing(declared)] : [];
    const steps: Step[] = [
        guardBootFile(place, before),
        ...(facts.bootUnit === "missing" && !context.reserved.has(unit) ? [installUnit(stateDirectory)] : []),
        ...(anew.length > 0 ? [...write, ...refuse] : [...refuse, ...write]),
        // What nobody has open has nothing that is not written: the last one to close it has waited for that.
        ...(cut && paths.some(({ up }) => up)
            ? flushing(declared, want.inUse === true, want.inUse === true)
            : []),
        ...(lost.length === 0
            ? []
            : [
                  {
                      label:
                          recorded.length === 0
                              ? `give up the paths ${lost.join(", ")}`
                              : `disconnect ${lost.join(", ")}: ${REASON[declared.protocol]}`,
                      script: takeDown({ ...declared, portals: lost }, { only: lost, spare: !cut, recorded }),
                  },
              ]),
        ...connect,
        ...turns.flatMap((portal) => [
            {
                label: `disconnect ${portal}, one path of several: ${REASON[declared.protocol]}`,
                script: takeDown(
                    { ...declared, portals: [portal] },
                    { only: [portal], spare: true, recorded: [portal] },
                ),
            },
            ...connect,
        ]),
        { label: "note that it is attached", script: sh`sh ${file} applied` },
    ];
    return {
        steps,
        touched: { attachments: [want.name] },
        reserved: [unit],
        explain,
        timeout:
            (1 + turns.length) * DEVICE_TIMEOUT +
            (cut ? FLUSH_TIMEOUT : 0) +
            declared.portals.length * LOGIN_TIMEOUT,
    };
}

/** Why a path is disconnected for other credentials. */
const REASON = {
    iscsi: "a session logs in again with the credentials that it began with, so others come with another session",
    "nvme-tcp": "the client's kernel does not join NVMe paths, so other keys come with another connection",
} as const;

function portalsOf(paths: readonly PathFacts[]): string[] {
    return [...new Set(paths.map(({ portal }) => portal))];
}

function refusing(declared: Declared, pathless?: string): Step {
    return { label: "see that nobody uses the device", script: refuseUsers(declared, "in-use", pathless) };
}

/**
 * Writing out takes minutes where much is not written, and the kernel lets a device go that somebody has mounted since. Where
 * that may fail (`force`), nobody is asked once more: what was to write, and hangs, would be who has it.
 */
function flushing(declared: Declared, force: boolean, inUse: boolean, pathless?: string): Step[] {
    return [
        { label: "write out what is not written yet", script: flush(declared, force, pathless) },
        ...(inUse || force
            ? []
            : [
                  {
                      label: "see that nobody has come to use the device",
                      script: refuseUsersSince(declared, pathless),
                  },
              ]),
    ];
}

/**
 * Takes back a first attempt, before which nobody was logged in there ({@link refuseConflicts}); not from who has the
 * device by now, as LVM and automounters do: the next run finishes.
 */
function undoing(declared: Declared, place: BootPlace, stateDirectory: string): Sh {
    const refuse = refuseUsers(declared, "what was made stays for the next run, being in use");
    // What udev has just found is open for a moment, by whatever its rules run.
    return sh`udevadm settle -t 10 2>/dev/null; ( ${refuse} ) && ( ${takeDown(declared, { made: true })} ) && ${removeBoot(place, stateDirectory)}`;
}

/** The unit first, with the last: without a boot file nobody would ask for it any more. */
function removeBoot(place: BootPlace, stateDirectory: string): Sh {
    const directory = bootDirectory(stateDirectory, "attachment");
    return sh`( ${removeUnit(stateDirectory, bootFile(place))} ) && rm -f -- ${bootFile(place)} &&
{ [ ! -d ${directory} ] || sync ${directory}; } &&
{ rmdir ${directory} 2>/dev/null || :; }`;
}

/** Whether others use the device, and whether writes can be lost, has been allowed or not; see {@link refuseUsers}. */
export interface Detach {
    readonly name: string;
    readonly mark: Mark;
    /** Where the device was last. */
    readonly devicePath: string;
    /** Although it is in use. */
    readonly inUse: boolean;
    /** Although what was written cannot be brought to the storage host. */
    readonly force: boolean;
    /** What cannot be cleared away is passed over. */
    readonly ignoreErrors: boolean;
}

/** Detach, or finish detaching: the boot file goes last. */
export function detach(context: ClientContext, want: Detach, orphan?: AttachmentFacts): Plan {
    const { facts, stateDirectory } = context;
    const before = facts.attachments.get(want.name) ?? orphan;
    if (before === undefined) return NOTHING;
    refuseOthers(before, want);
    const { declared } = before;
    const place = placeOf(stateDirectory, want.name);
    // A change that was cut short may have left sessions and records with portals that are declared no more.
    const also = [...portalsOf(pathsOf(facts, declared)), ...undeclaredRecords(facts, declared)];
    const all = { ...declared, portals: [...new Set([...declared.portals, ...also])] };
    const pathless = pathlessMap(facts, want.devicePath);
    return {
        steps: [
            guardBootFile(place, before),
            // Also where nothing was seen: what makes it anew after a boot may have done so since.
            ...(want.inUse ? [] : [refusing(declared, pathless)]),
            ...flushing(declared, want.force, want.inUse, pathless),
            {
                label: `remove the device and log out from ${declared.target}`,
                script: takeDown(all, {
                    ignoreErrors: want.ignoreErrors,
                    ...(pathless === undefined ? {} : { pathless }),
                }),
            },
            {
                label: `remove the boot file of attachment ${want.name}`,
                script: removeBoot(place, stateDirectory),
            },
        ],
        touched: { attachments: [want.name] },
        explain,
        timeout: FLUSH_TIMEOUT + declared.portals.length * LOGIN_TIMEOUT,
    };
}

/** Take our mark over to a renamed resource, nothing else. */
export function remark(context: ClientContext, name: string, from: Mark, to: Mark): Plan {
    return {
        steps: [remarkBootFile(placeOf(context.stateDirectory, name), from, to)],
        touched: { attachments: [name] },
    };
}

function placeOf(stateDirectory: string, name: string): BootPlace {
    return { stateDirectory, protocol: "attachment", name };
}

function requireClient({ facts, tools }: ClientContext, { connection, multipath }: AttachmentWanted): void {
    const iscsi = connection.protocol === "iscsi";
    const needed = ["udevadm", "blockdev"];
    if (iscsi) needed.push("iscsiadm");
    if (iscsi && multipath === "require") needed.push("multipath");
    const lacking = needed.filter((tool) => !tools.has(tool));
    if (lacking.length > 0)
        throw new BlockhostError("unsupported", `the client lacks ${lacking.join(", ")}`, {
            hint: `install there: apt-get install ${lacking.map((tool) => CLIENT_TOOLS[tool] ?? tool).join(" ")}`,
        });
    if (iscsi && facts.iqn === undefined)
        throw new BlockhostError("unsupported", "the client has no initiator name", {
            hint: "there is none in /etc/iscsi/initiatorname.iscsi that the SSH user can read: iscsi-iname(8) makes one; a user other than root needs `sudo: true`",
        });
    const nameless = [
        ...(facts.nqn === undefined ? ["no NVMe host name (/etc/nvme/hostnqn)"] : []),
        ...(facts.hostId === undefined ? ["no NVMe host ID (/etc/nvme/hostid)"] : []),
    ];
    if (!iscsi && nameless.length > 0)
        throw new BlockhostError("unsupported", `the client has ${nameless.join(" and ")}`, {
            hint: NVME_NAMES,
        });
    if (multipath !== "require") return;
    if (iscsi ? facts.multipathd : facts.nativeMultipath) return;
    throw new BlockhostError(
        "unsupported",
        iscsi ? "multipathd does not run on the client" : "the client's kernel does not join NVMe paths",
        {
            property: "multipath",
            hint: iscsi
                ? "start it there (systemctl enable --now multipathd), or set `multipath` to `prefer`"
                : "load nvme_core with multipath=Y there, or set `multipath` to `prefer`",
        },
    );
}

function refuseConflicts(
    { facts }: ClientContext,
    { name, connection }: AttachmentWanted,
    before: AttachmentFacts | undefined,
): void {
    const { target, protocol, unit } = connection;
    for (const other of facts.attachments.values()) {
        if (other.name === name || other.declared.target !== target || other.declared.unit !== unit) continue;
        throw new BlockhostError(
            "exists",
            `${target} is attached to the client already, as "${other.name}"`,
            {
                property: "connection",
                hint: `it belongs to ${describeOwner(other.mark.owner)}`,
            },
        );
    }
    // They would share sessions and node records, and each would take away the other's.
    const shared = [...facts.attachments.values()].find(
        (other) => other.name !== name && other.declared.target === target,
    );
    if (shared !== undefined)
        throw new BlockhostError(
            "unsupported",
            `unit ${String(shared.declared.unit)} of ${target} is attached to the client, as "${shared.name}": attachments of several units of one target are not supported`,
            {
                property: "connection",
                hint: `export each unit under a target of its own, or attach only one of them (that one belongs to ${describeOwner(shared.mark.owner)})`,
            },
        );
    if (before?.declared.target === target) return;
    const path = facts.paths.find((one) => one.target === target && one.protocol === protocol);
    if (path === undefined) return;
    throw new BlockhostError("not-ours", `the client is connected to ${target} already, by somebody else`, {
        property: "connection",
        hint:
            protocol === "iscsi"
                ? `it stays untouched: log out first (iscsiadm -m node -T ${target} --logout)`
                : `it stays untouched: with \`nvme\` of the package nvme-cli, disconnect first (nvme disconnect -n ${target})`,
    });
}

/**
 * Two machines that show one name, as clones do, are one client to a target: LIO ends the session of the one when the
 * other logs in.
 *
 * @throws BlockhostError `unsupported`
 */
export function refuseTwins(
    facts: ClientFacts,
    protocol: Declared["protocol"],
    host: string,
    others: readonly { readonly name: string; readonly client: ClientFacts }[],
): void {
    const iscsi = protocol === "iscsi";
    const own = initiatorOf(facts, protocol);
    const twin = others.find(({ client }) => own !== undefined && initiatorOf(client, protocol) === own);
    if (own === undefined || twin === undefined) return;
    throw new BlockhostError(
        "unsupported",
        `${host} and ${twin.name} have the same ${iscsi ? "initiator name" : "NVMe host name"}, ${own}: a target takes them for one client, and ends the session of the one for the other`,
        {
            hint: iscsi
                ? `a cloned machine? Give one of them a name of its own: \`echo "InitiatorName=$(iscsi-iname)" > /etc/iscsi/initiatorname.iscsi\`, restart iscsid there, and name it among the export's \`initiators\``
                : "a cloned machine? Give one of them a name of its own: `nvme gen-hostnqn > /etc/nvme/hostnqn`, and its UUID into /etc/nvme/hostid, and name it among the export's `initiators`",
        },
    );
}

/** What is connected under a name that the client had before would be nobody's: not to be told from somebody else's. */
function refuseFormerName(facts: ClientFacts, before: Declared, declared: Declared): void {
    const former = pathsOf(facts, before).filter((path) => path.foreign === before.initiator);
    if (before.initiator === declared.initiator || former.length === 0) return;
    const names = former.map(({ id }) => id);
    throw new BlockhostError(
        "in-use",
        `${names.join(", ")} ${names.length === 1 ? "is" : "are"} connected to ${declared.target} as ${before.initiator}, which the client was called before: it is ${declared.initiator} now`,
        {
            hint: `give it its name back in /etc/nvme/hostnqn; or unmount the device, disconnect (nvme disconnect -d ${names.join(",")}, of the package nvme-cli), and run the same again`,
        },
    );
}

function refuseOthers(before: AttachmentFacts, want: { name: string; mark: Mark }): void {
    const same = sameOwner(before.mark.owner, want.mark.owner);
    if (same && before.mark.generation === want.mark.generation) return;
    const when = same ? " and was made at another time" : "";
    throw new BlockhostError(
        "not-ours",
        `attachment "${want.name}" belongs to ${describeOwner(before.mark.owner)}${when}`,
        {
            hint: "it stays untouched: give this attachment another `name`, or bring the state up to date with `pulumi refresh`",
        },
    );
}

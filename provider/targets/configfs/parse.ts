import { BlockhostError } from "../../errors";
import { type BootHeader, parseBootHeader, unfinished } from "../boot";
import { bootUnitState } from "../bootUnit";
import { parseAddresses } from "../portals";
import type { TargetFacts, TargetRef } from "../types";
import { KERNEL_PACKAGES } from "./explain";
import type { CommonDeclared, Helper, KernelExport, KernelExtra, Live } from "./model";
import { parseDevices, parseListeners, parseNotes, parseOwners, parseTree, Sections } from "./sections";
import { CONFIGFS } from "./shell";

/** Facts from what `observeTree` printed. */
export function parseFacts<O, D extends CommonDeclared, Own>(
    helper: Helper<O, D, Own>,
    target: TargetRef<O>,
    output: string,
): TargetFacts {
    const sections = new Sections(output);
    const tree = parseTree(sections);
    const { headers, unreadable } = readHeaders(helper, sections);
    const problem = problemOf(helper, target, sections);
    const modules = sections.lines("module");
    const roots = new Set([...headers.values()].flatMap((header) => header.roots ?? []));
    const extra: KernelExtra<Own> = {
        loaded: modules.includes("loaded"),
        live: { tree, listeners: [], sections },
        gone: new Set(),
        listeners: parseListeners(sections.lines("lines")),
        owners: parseOwners(sections.lines("owners")),
        addresses: parseAddresses(sections.lines("addresses")),
        unreadable,
        own: helper.own(tree, roots, sections),
    };
    const devices = parseDevices(sections.lines("devices"));
    const notes = parseNotes(sections.lines("notes"));
    const exports = new Map<string, KernelExport<D>>();
    for (const [name, header] of headers) {
        const live: Live = {
            tree,
            listeners: extra.listeners.filter(({ inode }) => !extra.owners.has(inode)),
            device: devices.get(header.declared.devicePath),
            noted: notes.get(name),
            sections,
        };
        exports.set(name, exportFacts(helper, name, header, live));
    }
    return {
        protocol: helper.protocol,
        ...(problem === undefined ? {} : { problem }),
        exports,
        bootUnit: bootUnitState(sections.lines("unit")[0]),
        foreign: helper.foreign(extra.own),
        // Without it the list of exports is not complete.
        extra:
            sections.has("end") && !sections.lines("boot").some((line) => line.startsWith("F "))
                ? extra
                : undefined,
    };
}

type Header<D> = BootHeader & { readonly declared: D };

function readHeaders<O, D extends CommonDeclared, Own>(
    helper: Helper<O, D, Own>,
    sections: Sections,
): { headers: Map<string, Header<D>>; unreadable: Map<string, string> } {
    const lines = new Map<string, string[]>();
    const unreadable = new Map<string, string>();
    for (const line of sections.lines("boot")) {
        if (line.startsWith("B ")) lines.set(line.slice(2), []);
        else if (line.startsWith("E ")) unreadable.set(line.slice(2), "permission denied");
    }
    for (const line of sections.lines("lines")) {
        const [, name, header] = /^([^:]+):(#bh .*)$/.exec(line) ?? [];
        if (name !== undefined && header !== undefined) lines.get(name)?.push(header);
    }
    const headers = new Map<string, Header<D>>();
    for (const [name, header] of lines) {
        try {
            const parsed = parseBootHeader(header);
            const declared = helper.declaredSchema.safeParse(parsed?.declared);
            if (parsed === undefined || !declared.success)
                unreadable.set(name, `it is no boot file of pulumi-blockhost for ${helper.label}`);
            else headers.set(name, { ...parsed, declared: declared.data });
        } catch (error) {
            if (!(error instanceof BlockhostError)) throw error;
            unreadable.set(name, error.summary);
        }
    }
    return { headers, unreadable };
}

function exportFacts<O, D extends CommonDeclared, Own>(
    helper: Helper<O, D, Own>,
    name: string,
    header: Header<D>,
    live: Live,
): KernelExport<D> {
    const { declared, secrets = {} } = header;
    const differences = helper.faults(declared, secrets, live).map(({ text }) => text);
    if (live.device === undefined)
        differences.push(`devicePath: there is nothing at ${declared.devicePath} any more`);
    differences.push(...unfinished(header));
    return {
        name,
        mark: header.mark,
        targetName: header.targetName,
        devicePath: declared.devicePath,
        serial: declared.serial,
        digest: declared.digest,
        differences,
        sessions: helper.sessions(declared, live),
        extra: {},
        declared,
        applied: header.applied,
        closed: header.closed,
        secrets,
        activation: header.activation,
        live,
    };
}

function problemOf<O, D extends CommonDeclared, Own>(
    helper: Helper<O, D, Own>,
    target: TargetRef<O>,
    sections: Sections,
): TargetFacts["problem"] {
    const refused = sections.lines("boot").find((line) => line.startsWith("F "));
    if (refused !== undefined) {
        return {
            summary: `the boot files in ${target.stateDirectory} cannot be read`,
            hint: "use root, or set `sudo: true`",
        };
    }
    const modules = sections.lines("module");
    const missing = modules.filter((line) => line.startsWith("missing ")).map((line) => line.slice(8));
    if (missing.includes("configfs")) {
        return {
            summary: `the host has no configfs, through which ${helper.label} is set up: there is no ${CONFIGFS}, and the kernel has no module ${missing.join(", ")}`,
            hint: `see that sysfs is mounted at /sys, and that ${KERNEL_PACKAGES} of the kernel that runs is installed; in a container neither can be had, so name the machine itself as the host`,
        };
    }
    if (missing.length > 0) {
        const which = missing.length === 1 ? "module" : "modules";
        return {
            summary: `the host's kernel has no ${helper.label}: ${which} ${missing.join(", ")} ${missing.length === 1 ? "is" : "are"} missing`,
            hint: `${helper.label} is part of ${KERNEL_PACKAGES}: install the one of the kernel that runs`,
        };
    }
    if (!sections.has("end") || modules.length === 0) {
        return {
            summary: `${helper.label} could not be observed`,
            hint: "look at /sys/kernel/config on the host, then run the same again",
        };
    }
    return undefined;
}

/** Facts after some exports were read again; what concerns the others stays. */
export function mergeFacts<O, D extends CommonDeclared, Own>(
    helper: Helper<O, D, Own>,
    before: TargetFacts,
    read: TargetFacts,
    only: readonly string[],
): TargetFacts {
    const exports = new Map(before.exports);
    for (const name of only) exports.delete(name);
    for (const [name, facts] of read.exports) exports.set(name, facts);
    const [was, now] = [before.extra, read.extra] as (KernelExtra<Own> | undefined)[];
    if (was === undefined || now === undefined) return { ...read, exports };
    const unreadable = new Map(was.unreadable);
    for (const name of only) unreadable.delete(name);
    for (const [name, why] of now.unreadable) unreadable.set(name, why);
    const own = helper.mergeOwn(was.own, now.own);
    const { live } = was;
    const gone = new Set([...was.gone, ...only].filter((name) => !read.exports.has(name)));
    const extra: KernelExtra<Own> = {
        ...now,
        live,
        gone,
        owners: was.owners,
        addresses: was.addresses,
        unreadable,
        own,
    };
    return { ...read, exports, foreign: helper.foreign(own), extra };
}

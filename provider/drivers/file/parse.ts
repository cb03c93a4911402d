import { hasCode } from "../../errors";
import type { ObjectFacts, PoolFacts } from "../../host/facts";
import { type Mark, decodeMark } from "../../host/mark";
import { provisionedBytes } from "../capacity";
import type { PoolRef } from "../types";
import {
    MARKS,
    POOL_LINK,
    REFLINK_LINK,
    WORK,
    fileOfObject,
    isObjectName,
    objectOfFile,
    recordFile,
} from "./layout";
import type { FileOptions } from "./options";

/** What `observePool` printed, line by line, before it is made sense of. */
interface Reading {
    recorded: boolean;
    state: string;
    directory: string;
    blocks?: { size: number; total: number; available: number };
    fileSystem: string;
    identity?: string;
    record?: string;
    reflink: string;
    complete: boolean;
    /** Mark texts by object name. */
    marks: Map<string, string>;
    files: Map<string, FileLine>;
    /** Finished and unfinished copies by object name. */
    work: Map<string, { done: string[]; part: string[] }>;
    openers: Map<string, Set<string>>;
}

interface FileLine {
    type: string;
    size: number;
    blocks: number;
    inode: string;
    mtime: string;
    links: number;
}

/**
 * Facts of a pool. Without `problem` the list of objects is complete (or, after an observation of a few objects, those
 * are); `extra` holds `directory` (real path), `identity` (text of the pool's mark), `reflink` (`yes`, `no`,
 * `unknown`), `recorded` (`yes` once this host remembers the pool) and `fileSystem`.
 */
export function parsePool(pool: PoolRef<FileOptions>, output: string): PoolFacts {
    const reading = read(pool, output);
    const problem = findProblem(pool, reading);
    if (problem !== undefined) return withProblem(pool, problem);
    const objects = reading.identity === undefined ? new Map<string, ObjectFacts>() : listObjects(reading);
    const { size = 0, total = 0, available = 0 } = reading.blocks ?? {};
    const id = reading.identity === undefined ? "new" : (readMark(reading.identity).mark?.generation ?? "");
    return {
        name: pool.name,
        id,
        capacity: {
            totalBytes: size * total,
            freeBytes: size * available,
            provisionedBytes: provisionedBytes(objects),
        },
        objects,
        extra: {
            directory: reading.directory,
            fileSystem: reading.fileSystem,
            reflink: reading.reflink,
            recorded: reading.record === id ? "yes" : "no",
            ...(reading.identity === undefined ? {} : { identity: reading.identity }),
        },
    };
}

function read(pool: PoolRef<FileOptions>, output: string): Reading {
    const reading: Reading = {
        recorded: false,
        state: "",
        directory: "",
        fileSystem: "",
        reflink: "unknown",
        complete: false,
        marks: new Map(),
        files: new Map(),
        work: new Map(),
        openers: new Map(),
    };
    const record = `${recordFile(pool)} `;
    for (const line of output.split("\n")) {
        const space = line.indexOf(" ");
        const rest = line.slice(space + 1);
        switch (space === -1 ? line : line.slice(0, space)) {
            case "recorded":
                reading.recorded = true;
                break;
            case "pool":
                reading.state = rest;
                break;
            case "dir":
                reading.directory = rest;
                break;
            case "fs":
                readFileSystem(reading, rest);
                break;
            case "l":
                if (rest.startsWith(record)) reading.record = rest.slice(record.length);
                else readLink(reading, rest);
                break;
            case "w":
                readWork(reading, rest);
                break;
            case "o":
                readFile(reading, rest);
                break;
            case "u":
                readOpener(reading, rest);
                break;
            case "end":
                reading.complete = rest === "0";
                break;
        }
    }
    return reading;
}

function readFileSystem(reading: Reading, text: string): void {
    const [size, total, available, ...type] = text.split(" ");
    reading.blocks = { size: Number(size), total: Number(total), available: Number(available) };
    reading.fileSystem = type.join(" ");
}

function readLink(reading: Reading, text: string): void {
    const [, path, target] = /^\.\/(\S+) (.+)$/.exec(text) ?? [];
    if (path === undefined || target === undefined) return;
    if (path === POOL_LINK) reading.identity = target;
    else if (path === REFLINK_LINK) reading.reflink = target;
    else if (path.startsWith(`${MARKS}/`)) {
        const name = path.slice(MARKS.length + 1);
        if (isObjectName(name)) reading.marks.set(name, target);
    }
}

function readWork(reading: Reading, text: string): void {
    const [, path = ""] = /^\d+ \d+ \.\/(.+)$/.exec(text) ?? [];
    const [, name, id, state] = /^([^~/]+)~([^~/]+)\.(part|done)$/.exec(path.slice(WORK.length + 1)) ?? [];
    if (name === undefined || id === undefined) return;
    const files = reading.work.get(name) ?? { done: [], part: [] };
    (state === "done" ? files.done : files.part).push(id);
    reading.work.set(name, files);
}

function readFile(reading: Reading, text: string): void {
    const match = /^(\S) (\d+) (\d+) (\d+) (\S+) (\d+) \.\/(.+)$/.exec(text);
    if (match === null) return;
    const [, type = "", size, blocks, inode = "", mtime = "", links, file = ""] = match;
    const line = { type, size: Number(size), blocks: Number(blocks), inode, mtime, links: Number(links) };
    reading.files.set(objectOfFile(file), line);
}

function readOpener(reading: Reading, text: string): void {
    const [pid = "", path = "", who = ""] = text.split("\t");
    if (!path.startsWith(`${reading.directory}/`)) return;
    const object = objectOfFile(path.slice(reading.directory.length + 1));
    const openers = reading.openers.get(object) ?? new Set();
    reading.openers.set(object, openers.add(pid === "-" ? who : `${who}(${pid})`));
}

function listObjects(reading: Reading): Map<string, ObjectFacts> {
    const objects = new Map<string, ObjectFacts>();
    for (const name of new Set([...reading.files.keys(), ...reading.marks.keys()])) {
        objects.set(name, objectFacts(reading, name));
    }
    return objects;
}

function objectFacts(reading: Reading, name: string): ObjectFacts {
    const file = reading.files.get(name);
    const text = reading.marks.get(name);
    const { mark, unreadable } = text === undefined ? {} : readMark(text);
    const work = reading.work.get(name);
    const openers = reading.openers.get(name);
    const extra: Record<string, string> = {
        ...(file === undefined ? {} : { type: file.type, mtime: file.mtime, links: String(file.links) }),
        ...(text === undefined ? {} : { markText: text }),
        ...(unreadable === undefined ? {} : { unreadableMark: unreadable }),
        ...(work === undefined ? {} : { done: work.done.join(" "), part: work.part.join(" ") }),
    };
    return {
        name,
        path: `${reading.directory}/${fileOfObject(name)}`,
        ...(mark === undefined ? {} : { mark }),
        ...(file?.type === "f"
            ? { sizeBytes: file.size, allocatedBytes: file.blocks * 512, uid: file.inode }
            : {}),
        ...(openers === undefined ? {} : { openBy: [...openers].sort() }),
        extra,
    };
}

/** A mark that cannot be read makes its object somebody else's, and says why. */
function readMark(text: string): { mark?: Mark; unreadable?: string } {
    try {
        const mark = decodeMark(text);
        return mark === undefined ? { unreadable: "it is not in our format" } : { mark };
    } catch (error) {
        if (hasCode(error, "unsupported"))
            return { unreadable: `${error.summary}; ${error.details.hint ?? ""}` };
        throw error;
    }
}

type Problem = NonNullable<PoolFacts["problem"]>;

function findProblem(pool: PoolRef<FileOptions>, reading: Reading): Problem | undefined {
    const where = `directory ${pool.options.directory} of pool "${pool.name}"`;
    const mount = "mount its file system, or correct the pool's `directory`";
    switch (reading.state) {
        case "missing":
            return { summary: `${where} does not exist`, hint: `create it, ${mount}` };
        case "not-a-directory":
            return { summary: `${where} is not a directory`, hint: "correct the pool's `directory`" };
        case "unreadable":
            return {
                summary: `${where} cannot be read by the SSH user`,
                hint: "use root, `sudo: true`, or a directory of that user's own",
            };
        case "occupied":
        case "empty":
            return noIdentity(pool, reading, where, mount);
        case "ok":
            break;
        default:
            return {
                summary: `${where} could not be read`,
                hint: "the answer of the host was cut short; run again",
            };
    }
    const { mark, unreadable } = readMark(reading.identity ?? "");
    if (mark?.kind !== "pool") {
        return {
            summary: `${where} has an identity that cannot be read${unreadable === undefined ? "" : `: ${unreadable}`}`,
            hint: `look at ${pool.options.directory}/${POOL_LINK}`,
        };
    }
    if (!reading.complete || reading.blocks === undefined) {
        return {
            summary: `${where} could not be read completely`,
            hint: "look at it on the host with `find` as the SSH user; nothing is concluded from half a list",
        };
    }
    if (reading.record !== undefined && reading.record !== mark.generation) {
        return {
            summary: `${where} holds pool ${mark.generation}, but this host knows pool ${reading.record} there`,
            hint: `${mount}; if the exchange is meant, remove ${recordFile(pool)} on the host`,
        };
    }
    return undefined;
}

function noIdentity(
    pool: PoolRef<FileOptions>,
    reading: Reading,
    where: string,
    mount: string,
): Problem | undefined {
    if (reading.recorded) {
        return {
            summary: `${where} has lost its identity: this host knows a pool there`,
            hint: `its file system is probably not mounted: ${mount}; if its data is gone for good, remove ${recordFile(pool)} on the host`,
        };
    }
    if (reading.state === "occupied") {
        return {
            summary: `${where} is not a pool and not empty`,
            hint: `${mount}; only an empty directory can become a pool`,
        };
    }
    if (!pool.options.initialize) {
        return {
            summary: `${where} is empty and not a pool`,
            hint: `${mount}; to make a new pool of it, set \`initialize: true\``,
        };
    }
    return undefined;
}

function withProblem(pool: PoolRef<FileOptions>, problem: Problem): PoolFacts {
    return {
        name: pool.name,
        id: "",
        problem,
        capacity: { totalBytes: 0, freeBytes: 0, provisionedBytes: 0 },
        objects: new Map(),
        extra: {},
    };
}

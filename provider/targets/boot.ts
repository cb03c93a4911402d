import { BlockhostError } from "../errors";
import { asWord, hasContent, raw, Sh, sh, writeOut } from "../sh";
import type { Activation } from "../host/facts";
import { decodeMark, encodeMark, type Mark } from "../host/mark";
import { endEpoch } from "../host/epoch";
import { GUARD_FAILED, type Step } from "../host/plan";
import type { ExportFacts, Protocol, TargetFacts, TargetRef } from "./types";

/**
 * Boot files: one per export, `<stateDirectory>/exports/<protocol>/<name>`, an idempotent `sh` script that makes the
 * export anew after a restart; and one per attachment of the host as a client, `<stateDirectory>/attachments/<name>`. Mode 0600: its body may hold secrets. What may be read by an observation is in comment
 * lines at its top, one thing a line and always in this order:
 *
 *     #!/bin/sh
 *     # Export of pulumi-blockhost: changed by it, run at boot. Do not edit.
 *     #bh mark blockhost:1&kind:export&owner:…
 *     #bh applied 0
 *     #bh size 1073741824
 *     #bh target iqn.2010-10.org.blockhost:pg-lun:9f3a12cd
 *     #bh accounts db1
 *     #bh declared {"devicePath":"/srv/pool/pg-data.img", …}
 *     #bh activate lvchange -ay -K vg0/pg-data      what makes the device appear after a boot; a tab before its last word
 *     #bh roots iscsi/iqn.2010-10.org.blockhost:…   its objects in the kernel's configfs
 *     #bh device /dev/vg0/pg-data                   for who reads them
 *     #bh secrets {"chap iqn.…":"5e88…"}            SHA-256 of each secret, to be compared with the kernel's; not shown
 *     #bh until end                                 the last line is `#bh end of file`; without it the file is torn
 *
 * The last five are there only where a helper has them. An empty file, or one of nothing but NULs, is none.
 *
 * `applied 0`: it was written, but what it declares was not carried out to the end; one byte is overwritten when it was.
 * `applied c`, or `C` where it was 0: closed, while the content of its device is exchanged, and not to be run at boot.
 */
export interface BootHeader {
    readonly mark: Mark;
    readonly applied: boolean;
    /** Taken off while the content of its device is exchanged ({@link noteClosed}). */
    readonly closed: boolean;
    readonly sizeBytes: number;
    readonly targetName: string;
    /** User names of accounts that several exports may share. */
    readonly accounts: readonly string[];
    /** What the helper keeps of the declaration; holds no secret. */
    readonly declared: unknown;
    readonly activation?: Activation | undefined;
    readonly roots?: readonly string[];
    readonly device?: string;
    readonly secrets?: Readonly<Record<string, string>>;
}

/** Where an export's boot file is. */
export interface BootPlace {
    readonly stateDirectory: string;
    /** What exports are reached over; `attachment`: it is no export, but one attached to this host. */
    readonly protocol: Protocol | "attachment";
    /** Name of the export or attachment. */
    readonly name: string;
}

const LINE = { mark: 3, size: 5 } as const;

const UNTIL = "#bh until end";
const END = "#bh end of file";

export function bootDirectory(stateDirectory: string, protocol: BootPlace["protocol"]): string {
    return protocol === "attachment"
        ? `${stateDirectory}/attachments`
        : `${stateDirectory}/exports/${protocol}`;
}

function what({ protocol, name }: BootPlace): string {
    return `${protocol === "attachment" ? "attachment" : "export"} ${name}`;
}

export function placeOf(target: Pick<TargetRef, "stateDirectory" | "protocol">, name: string): BootPlace {
    return { stateDirectory: target.stateDirectory, protocol: target.protocol, name };
}

export function bootFile({ stateDirectory, protocol, name }: BootPlace): string {
    return `${bootDirectory(stateDirectory, protocol)}/${name}`;
}

/**
 * Of what a boot file that cannot be read makes, nothing is known: it is neither gone nor to be made.
 *
 * @throws BlockhostError `not-ours`
 */
export function refuseUnreadable(
    { extra, protocol }: TargetFacts,
    name: string,
    stateDirectory: string,
): void {
    const why = extra?.unreadable.get(name);
    if (why === undefined) return;
    const file = bootFile({ stateDirectory, protocol, name });
    throw new BlockhostError("not-ours", `export "${name}" has a boot file that cannot be read: ${why}`, {
        hint: `it stays untouched, and may be served: give the host the target back that it was made with (\`targets\`), and run the same again; or else take it away by hand, with ${file}`,
    });
}

/**
 * First step of whatever writes or removes a boot file: ends the plan, to observe and plan again, unless the file bears
 * the mark that was observed. Another process may have given the name away, or taken it, since; or it may have closed the
 * export ({@link noteClosed}), so that to make it would serve what is half one content and half another.
 *
 * @param seen The export as it was observed; `undefined`: there was none.
 * @param more More to be asked, under the same lock; its exit status counts.
 */
export function guardBootFile(
    at: BootPlace,
    seen: Pick<ExportFacts, "mark" | "orphaned" | "closed"> | undefined,
    more: Sh = raw(""),
): Step {
    const expected = seen === undefined || seen.orphaned === true ? "" : `=${markLine(seen.mark).text}`;
    return {
        label: `see that ${what(at)} is as it was observed`,
        script: sh`file=${bootFile(at)} mark= v=
if [ -L "$file" ] || { [ -e "$file" ] && ${hasContent(raw('"$file"'))}; }; then
    { read -r mark && read -r mark && IFS= read -r mark && IFS= read -r v; } < "$file"
    mark="=$mark"
fi
[ "$mark" = ${expected} ] || { echo "its boot file is another one now" >&2; exit ${GUARD_FAILED}; }
${seen?.closed === true ? raw("") : CLOSED_SINCE}${more}`,
        guard: true,
    };
}

const CLOSED_SINCE = sh`case $v in '#bh applied '[cC]) echo "its volume is going back to a snapshot now" >&2; exit ${GUARD_FAILED} ;; esac
`;

/** A write is cut short at the end of a page, if at all. */
const PAGE = 4096;

/**
 * Writes a boot file whole or not at all; comes after {@link guardBootFile}.
 *
 * @param fresh There is none to be lost, and what is done next does not outlive the host's power either. Then it is
 * written in its place and flushed by the plan ({@link bootFlush}), together with those of all other plans of its run:
 * three processes less an export. What is cut short leaves it empty, or with nothing but NULs (ext4, whose journal can
 * have its size before its content), which is as though it were not there; or with its header and without its end, which
 * is unfinished, and which no shell runs, as a brace is open.
 */
export function writeBootFile(
    at: BootPlace,
    header: Omit<BootHeader, "applied" | "closed">,
    body: Sh,
    fresh = false,
): Step {
    const top = sh`#!/bin/sh
# ${raw(at.protocol === "attachment" ? "Attachment" : "Export")} of pulumi-blockhost: changed by it, run at boot. Do not edit.
${markLine(header.mark)}
${comment("applied", "0")}
${comment("size", String(header.sizeBytes))}
${comment("target", header.targetName)}
${comment("accounts", header.accounts.join(" "))}
${declaredLine(header.declared)}
${more(header)}`;
    const content = fresh ? sh`${top}${raw(UNTIL)}\n{\n${body}\n}\n${raw(END)}` : sh`${top}${body}`;
    const inPlace = fresh && Buffer.byteLength(`${top.text}${UNTIL}\n`) <= PAGE;
    const scratch = raw('"$dir/.$name.new"');
    const file = inPlace ? raw('"$dir/$name"') : scratch;
    const rename = fresh
        ? raw('mv "$dir/.$name.new" "$dir/$name"')
        : raw('sync "$dir/.$name.new" && mv "$dir/.$name.new" "$dir/$name" && sync "$dir"');
    return {
        label: `write the boot file of ${what(at)}`,
        script: sh`dir=${bootDirectory(at.stateDirectory, at.protocol)} name=${at.name}
umask 077
[ -d "$dir" ] || mkdir -p "$dir" || exit
${writeOut(sh`printf '%s\\n' ${asWord(content)}`, file, scratch)}${inPlace ? raw("") : sh` &&\n${rename}`}`,
    };
}

/**
 * For {@link Plan.flush}, of a plan that writes or removes a boot file.
 *
 * @param notes Files that go with it.
 */
export function bootFlush(at: BootPlace, notes: readonly string[] = []): readonly string[] {
    return [...notes, bootFile(at), bootDirectory(at.stateDirectory, at.protocol)];
}

function more({ activation, roots, device, secrets }: Omit<BootHeader, "applied" | "closed">): Sh {
    const found: Sh[] = [];
    if (activation !== undefined)
        found.push(comment("activate", `${activation.command}\t${activation.object}`));
    if (roots !== undefined) found.push(comment("roots", roots.join(" ")));
    if (device !== undefined) found.push(comment("device", device));
    if (secrets !== undefined && Object.keys(secrets).length > 0)
        found.push(new Sh(comment("secrets", JSON.stringify(secrets)).text, "#bh secrets ***"));
    return new Sh(
        found.map((one) => `${one.text}\n`).join(""),
        found.map((one) => `${one.display}\n`).join(""),
    );
}

/**
 * Notes that an export is closed while the content of its device is exchanged, so that a boot in between does not serve
 * what is half one content and half the other. Comes after {@link guardBootFile}, and when it is closed: until then it may
 * be refused. It is flushed at once.
 */
export function noteClosed(at: BootPlace): Step {
    return {
        label: `note that ${what(at)} is closed`,
        script: sh`${rewriteApplied(at, ["1", "c"], ["0", "C"])} && sync "$file"`,
    };
}

/** Takes the note back when the content is whole again, before the export is opened; the plan has it flushed. */
export function noteOpened(at: BootPlace): Step {
    return {
        label: `note that ${what(at)} is no longer closed`,
        script: rewriteApplied(at, ["c", "1"], ["C", "0"]),
    };
}

function rewriteApplied(at: BootPlace, ...changes: readonly (readonly [string, string])[]): Sh {
    const cases = changes.map(([from, to]) => `'#bh applied ${from}') to=${to} ;; `).join("");
    return sh`file=${bootFile(at)} v=
{ read -r v && read -r v && read -r v && IFS= read -r v; } < "$file" || exit
case $v in ${raw(cases)}*) exit 0 ;; esac
${overwriteApplied(raw('"$file"'), raw('"#bh applied $to"'))}`;
}

/** Notes in a boot file that all of it was carried out. */
export function noteApplied(file: string): Sh {
    return overwriteApplied(sh`${file}`, raw("'#bh applied 1'"));
}

/** The line is overwritten in place, without a process. */
function overwriteApplied(file: Sh, line: Sh): Sh {
    return sh`{ read -r v && read -r v && read -r v && printf ${line} >&0; } 0<>${file}`;
}

/** In what an export differs from what is declared by what its boot file says. */
export function unfinished({ applied, closed }: Pick<BootHeader, "applied" | "closed">): readonly string[] {
    if (closed) return ["closed: its volume began to go back to a snapshot"];
    return applied ? [] : ["unfinished: the last change was not carried out to its end"];
}

/** Puts another owner mark into a boot file, and touches nothing else. */
export function remarkBootFile(at: BootPlace, from: Mark, to: Mark): Step {
    const change = replaceLine(at, LINE.mark, markLine(to).text);
    const expected = markLine(from).text;
    return {
        label: `take over the mark of ${what(at)}`,
        script: sh`[ "$(sed -n ${LINE.mark}p ${bootFile(at)})" = ${expected} ] || exit ${GUARD_FAILED}
${change}`,
    };
}

/** Notes the size with which the device was last opened; comes after {@link guardBootFile}. */
export function resizeBootFile(at: BootPlace, sizeBytes: number): Step {
    return {
        label: `note the size of ${what(at)}`,
        script: replaceLine(at, LINE.size, comment("size", String(sizeBytes)).text),
    };
}

/**
 * Comes after {@link guardBootFile}. The file is emptied, and so is none; the plan has it removed, together with those of
 * all other plans of its run, and the directory flushed ({@link bootFlush}).
 *
 * @param before What has to be done first.
 * @param notes Files that go with it.
 */
export function removeBootFile(at: BootPlace, before: Sh, notes: readonly string[] = []): Step {
    return {
        label: `remove the boot file of ${what(at)}`,
        script: sh`${before}
${endEpoch(at.stateDirectory)}
dir=${bootDirectory(at.stateDirectory, at.protocol)} name=${at.name}
[ ! -e "$dir/.$name.new" ] || rm -f -- "$dir/.$name.new" || exit
[ ! -L "$dir/$name" ] || rm -f -- "$dir/$name" || exit
for file in ${notes} "$dir/$name"; do [ ! -s "$file" ] || : > "$file" || exit; done`,
    };
}

/** Sed addresses lines by number, so no part of what is written is ever a pattern. */
function replaceLine(at: BootPlace, line: number, by: string): Sh {
    const changed = sh`sed ${`${String(line)},$d`} "$dir/$name" && printf '%s\\n' ${by} && sed ${`1,${String(line)}d`} "$dir/$name"`;
    return sh`dir=${bootDirectory(at.stateDirectory, at.protocol)} name=${at.name}
umask 077
${writeOut(changed, raw('"$dir/.$name.new"'))} &&
sync "$dir/.$name.new" && mv "$dir/.$name.new" "$dir/$name" && sync "$dir"`;
}

/** What is unfinished is told by `applied`, so the mark itself always says `ready`. */
function markLine(mark: Mark): Sh {
    return comment("mark", encodeMark({ ...mark, phase: "ready" }));
}

/** Its digest is made from secrets too, and shows none, but a weak one could be guessed from it. */
function declaredLine(declared: unknown): Sh {
    const line = (value: unknown) => comment("declared", JSON.stringify(value)).text;
    return new Sh(line(declared), line({ ...(declared as object), digest: "***" }));
}

function comment(key: string, value: string): Sh {
    const line = `#bh ${key} ${value}`;
    if (/[\0\n]/.test(line)) throw new TypeError(`not a comment line: ${key}`);
    return new Sh(line, line);
}

/** Reads the `#bh` lines of a boot file; `undefined`: it is none of ours. */
export function parseBootHeader(lines: readonly string[]): BootHeader | undefined {
    const fields = new Map<string, string>();
    for (const line of lines) {
        const [, key, value] = /^#bh ([a-z]+) (.*)$/.exec(line) ?? [];
        if (key !== undefined && value !== undefined) fields.set(key, value);
    }
    const mark = decodeMark(fields.get("mark") ?? "");
    const declared = json(fields.get("declared"));
    const target = fields.get("target");
    const size = Number(fields.get("size"));
    if (mark === undefined || declared === undefined || target === undefined || !Number.isSafeInteger(size)) {
        return undefined;
    }
    const torn = fields.has("until") && !fields.has("end");
    const state = fields.get("applied") ?? "";
    const applied = /^[1c]$/.test(state) && !torn;
    return {
        mark: applied ? mark : { ...mark, phase: "creating" },
        applied,
        closed: /^[cC]$/.test(state),
        sizeBytes: size,
        targetName: target,
        accounts: (fields.get("accounts") ?? "").split(" ").filter((user) => user !== ""),
        declared,
        ...optional("activation", activation(fields.get("activate"))),
        ...optional("roots", fields.get("roots")?.split(" ")),
        ...optional("device", fields.get("device")),
        ...optional("secrets", json(fields.get("secrets")) as Record<string, string> | undefined),
    };
}

function optional<K extends string, V>(key: K, value: V | undefined): { [k in K]?: V } {
    return value === undefined ? {} : ({ [key]: value } as { [k in K]: V });
}

function activation(text: string | undefined): Activation | undefined {
    const [, command, object] = /^(.*)\t(.*)$/.exec(text ?? "") ?? [];
    return command === undefined || object === undefined ? undefined : { command, object };
}

function json(text: string | undefined): unknown {
    try {
        return text === undefined ? undefined : (JSON.parse(text) as unknown);
    } catch {
        return undefined;
    }
}

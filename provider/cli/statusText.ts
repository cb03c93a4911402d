import { showBytes } from "../drivers/capacity";
import type { HostStatus, PoolStatus } from "./hostStatus";
import { type Level, worst } from "./levels";

/** Status for people; its first line is what a monitoring system shows. */
export function statusText(hosts: readonly HostStatus[]): string {
    return [summary(hosts), ...hosts.flatMap(hostLines)].join("\n");
}

function summary(hosts: readonly HostStatus[]): string {
    const level = worst(hosts.map((host) => host.level));
    const bad = hosts.filter((host) => host.level !== "ok").map(({ name }) => name);
    const what =
        bad.length === 0
            ? `${String(hosts.length)} ${plural(hosts.length, "host")} as declared`
            : `look at ${bad.join(", ")}`;
    return `BLOCKHOST ${level.toUpperCase()}: ${what}`;
}

function hostLines(host: HostStatus): string[] {
    const lines = ["", `${host.name}${tag(host.level)}`];
    if (host.error !== undefined) return [...lines, indent(host.error)];
    for (const pool of host.pools) lines.push(...poolLines(pool));
    const sessions = host.exports.reduce((sum, one) => sum + one.sessions, 0);
    lines.push(
        ...declaredLines("exports", host.exports, `, ${String(sessions)} ${plural(sessions, "session")}`),
        ...declaredLines("attachments", host.attachments),
    );
    for (const { id, owner, reason } of host.orphans) lines.push(`  orphan ${id}: ${reason} (${owner})`);
    for (const { name, state, doneBytes, totalBytes, log } of host.work) {
        const percent =
            totalBytes === 0
                ? ""
                : `, ${String(Math.min(100, Math.floor((doneBytes / totalBytes) * 100)))} %`;
        lines.push(
            `  long work ${name}: ${state}${percent}${log === "" ? "" : `: ${log.split("\n").at(-1) ?? ""}`}`,
        );
    }
    for (const { level, text } of host.findings) lines.push(`  ${text}${tag(level)}`);
    return lines;
}

/** How many there are, and each that is not as declared. */
function declaredLines(
    what: string,
    all: readonly { id: string; level: Level; differences: readonly string[] }[],
    more = "",
): string[] {
    if (all.length === 0) return [];
    const changed = all.filter(({ level }) => level !== "ok");
    const said = changed.length === 0 ? "all as declared" : `${String(changed.length)} not as declared`;
    return [
        `  ${what}: ${String(all.length)}, ${said}${more}`,
        ...changed.map(({ id, level, differences }) => `    ${id}${tag(level)}: ${differences.join("; ")}`),
    ];
}

function poolLines({ name, driver, level, capacity, findings }: PoolStatus): string[] {
    const head = `  pool ${name} (${driver})${tag(level)}`;
    const said = findings.map(({ text }) => `    ${text}`);
    if (capacity === undefined) return [head, ...said];
    const { totalBytes, freeBytes, provisionedBytes, ratio, maxRatio, dataPercent, metadataPercent } =
        capacity;
    const figures = [
        `${showBytes(freeBytes)} free of ${showBytes(totalBytes)}`,
        `${showBytes(provisionedBytes)} provisioned (${String(ratio)} of at most ${String(maxRatio)} times)`,
        ...(dataPercent === undefined ? [] : [`data ${String(dataPercent)} %`]),
        ...(metadataPercent === undefined ? [] : [`metadata ${String(metadataPercent)} %`]),
    ];
    return [`${head}: ${figures.join(", ")}`, ...said];
}

function tag(level: Level): string {
    return level === "ok" ? "" : ` [${level}]`;
}

function plural(count: number, noun: string): string {
    return count === 1 ? noun : `${noun}s`;
}

function indent(text: string): string {
    return text
        .split("\n")
        .map((line) => `  ${line}`)
        .join("\n");
}

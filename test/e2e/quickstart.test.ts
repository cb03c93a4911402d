import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { processesMarked } from "../../tools/embedded-host/processes.mjs";
import { removeDirectory, temporaryDirectory } from "../../tools/lifetime.mjs";
import { checkout } from "../../tools/paths.mjs";

/** All that a quickstart writes goes below its TMPDIR, and all that it starts inherits the variable. */
let directory: string;
beforeEach(() => {
    directory = temporaryDirectory("quickstart-test");
});
afterEach(() => removeDirectory(directory));

function quickstart(
    args: string[] = [],
    interruptAt?: string,
): Promise<{ status: number | null; output: string }> {
    return run(["npm", "run", "quickstart", "--", ...args], interruptAt);
}

function run(
    [command = "", ...args]: string[],
    interruptAt?: string,
): Promise<{ status: number | null; output: string }> {
    const child = spawn(command, args, {
        cwd: checkout,
        env: { ...process.env, TMPDIR: directory },
        stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    const read = (text: string) => {
        output += text;
        if (interruptAt === undefined || !output.includes(interruptAt)) return;
        interruptAt = undefined;
        // Only npm gets it, as from a supervisor; a terminal gives it to all.
        child.kill("SIGINT");
    };
    child.stdout.setEncoding("utf8").on("data", read);
    child.stderr.setEncoding("utf8").on("data", read);
    return new Promise((resolve) =>
        child.on("close", (status, signal) =>
            resolve({ status: signal === "SIGINT" ? 130 : status, output }),
        ),
    );
}

function expectNothingLeft(): void {
    expect(processesMarked(directory, "TMPDIR")).toEqual([]);
    expect(readdirSync(directory).filter((name) => name.startsWith("blockhost-"))).toEqual([]);
}

test("shows everything, and leaves nothing behind", async () => {
    const { status, output } = await quickstart();
    expect(output).toContain("claims checked");
    expect(output).toMatch(/\d+ operations in \d+ remote runs.*\n.*with \d+ connections in all/);
    expect(status, output).toBe(0);
    // What Pulumi says apart from the message, and about a stack that stays, only puzzles here.
    expect(output).not.toMatch(/^ *blockhost:$/m);
    expect(output).not.toContain("pulumi stack rm");
    expectNothingLeft();
});

test("Ctrl-C in the middle of an operation cleans up", async () => {
    const { status, output } = await quickstart([], "Volume data creating");
    expect(output).toContain("cleaning up");
    expect(status, output).toBe(130);
    // What is said last is what has become of it all.
    const said = output.trimEnd().split("\n");
    const end = said.findIndex((line) => line.includes("Cleaned up"));
    expect(end).toBeGreaterThan(said.findIndex((line) => line.includes("SIGINT: cleaning up")));
    expect(said.slice(end + 1).join("\n")).toMatch(
        /pulumi up: cancelled.*\n.*storage host .*ended\n.*: removed$/,
    );
    expectNothingLeft();
});

test("--keep leaves it running, and --stop ends it, also from a shell that has read environment.sh", async () => {
    const kept = await quickstart(["--keep"]);
    expect(kept.status, kept.output).toBe(0);
    expect(kept.output).toContain("npm run quickstart -- --stop");
    expect(processesMarked(directory, "TMPDIR")).toHaveLength(1);
    const environment = /\S+\/environment\.sh/.exec(kept.output)?.[0] ?? "";
    expect(environment).toContain(directory);
    // The program that it prints is one that runs as it is.
    expect(kept.output).toMatch(/ type: blockhost:Volume\n +properties:\n +host: embedded\n +pool: fast\n/);
    const program = /cd \S+\/yaml && .*pulumi up$/m.exec(kept.output)?.[0] ?? "false";
    // The shell, what it has started before, and what it does afterwards.
    const stopped = await run([
        "sh",
        "-c",
        `. ${environment}
sleep 1000 & sleeper=$!
pulumi stack --stack dev --show-ids || exit
( ${program} --yes --skip-preview ) || exit
npm run quickstart -- --stop || exit
kill $sleeper && echo "the shell lives"`,
    ]);
    expect(stopped.status, stopped.output).toBe(0);
    expect(stopped.output).toContain("embedded/fast/data");
    expect(stopped.output).toMatch(/blockhost:index:Volume mine created/);
    expect(stopped.output).toContain("the shell lives");
    expect(stopped.output).toContain("unset PULUMI_HOME");
    expectNothingLeft();
});

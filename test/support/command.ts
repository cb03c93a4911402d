import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { vi } from "vitest";
import { main } from "../../provider/cli/main";

/** Runs the command `blockhost` with a stack's file, written to `folder`, that names hosts. */
export async function blockhost(
    folder: string,
    hosts: Readonly<Record<string, unknown>>,
    args: readonly string[],
): Promise<{ status: number; stdout: string; stderr: string }> {
    const file = join(folder, "Pulumi.prod.yaml");
    writeFileSync(
        file,
        stringify({ config: { "blockhost:hosts": hosts, "shop:secret": { secure: "v1:xyz" } } }),
    );
    let stdout = "";
    let stderr = "";
    vi.spyOn(process.stdout, "write").mockImplementation((text) => ((stdout += String(text)), true));
    vi.spyOn(process.stderr, "write").mockImplementation((text) => ((stderr += String(text)), true));
    try {
        const status = await main([...args, "--config", file]);
        return { status, stdout, stderr };
    } finally {
        vi.restoreAllMocks();
    }
}

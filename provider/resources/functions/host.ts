import * as z from "zod";
import type { HostReference } from "../../host/hosts";
import { HOST_TOOLS } from "../../host/observation";
import { type HostFunction, hostArgument, placeOf } from "./types";

const texts = z.array(z.string());

export const hostResult = z.object({
    name: z.string().describe("Name in the configuration."),
    address: z.string().describe("Address in the configuration."),
    kernel: z.string().describe("Kernel release."),
    os: z.string().describe("Operating system."),
    modules: texts.describe("Kernel modules that are loaded."),
    tools: texts.describe(
        "Stock tools that are there, of those that the configured drivers and helpers need.",
    ),
    missing: z
        .array(
            z
                .object({
                    tool: z.string().describe("The tool."),
                    package: z.string().describe("Debian package that has it."),
                })
                .meta({ id: "MissingTool", description: "A stock tool that a host lacks." }),
        )
        .describe("Tools that are needed and not there."),
    pools: texts.describe("Names of the pools configured."),
    targets: texts.describe("Protocols configured."),
    iqn: z.string().describe("Its name as an iSCSI initiator; empty where open-iscsi has none."),
    nqn: z.string().describe("Its name as an NVMe host; empty where nvme-cli has none."),
    problems: texts.describe("What is wrong with pools and targets, and what to do."),
});

/** Facts of a host: what it is, what it has, and what is missing. */
export const getHost: HostFunction<{ host: HostReference }> = {
    name: "getHost",
    args: z
        .strictObject({ host: hostArgument })
        .describe(
            "Facts of a host: what it is, what its pools and targets lack, and its names as an initiator.",
        ),
    result: hostResult,
    async run(context, { host: reference }) {
        const { host, facts } = await placeOf(context, reference);
        const { config } = host;
        const needed: Record<string, string> = { ...HOST_TOOLS };
        for (const { driver, ref } of config.pools.values()) Object.assign(needed, driver.tools(ref.options));
        for (const { target } of config.targets.values()) Object.assign(needed, target.tools);
        const problems = [...facts.pools.values(), ...facts.targets.values()].flatMap(({ problem }) =>
            problem === undefined ? [] : [`${problem.summary}: ${problem.hint}`],
        );
        return {
            name: config.name,
            address: config.transport.address,
            kernel: facts.system?.kernel ?? "",
            os: facts.system?.os ?? "",
            modules: facts.system?.modules ?? [],
            tools: [...facts.tools].sort(),
            missing: Object.entries(needed)
                .filter(([tool]) => !facts.tools.has(tool))
                .map(([tool, from]) => ({ tool, package: from })),
            pools: [...config.pools.keys()],
            targets: [...config.targets.keys()],
            iqn: facts.client?.iqn ?? "",
            nqn: facts.client?.nqn ?? "",
            problems,
        };
    },
};

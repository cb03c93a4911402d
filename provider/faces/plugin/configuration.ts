import {
    CheckFailure,
    type CheckRequest,
    CheckResponse,
    type ConfigureRequest,
    ConfigureResponse,
    type DiffRequest,
    type DiffResponse,
} from "@pulumi/pulumi/proto/provider_pb";
import { configurationProblems } from "../../resources/configuration";
import { asPulumiShows } from "../failures";
import { detailedDiff, toDiffResponse } from "./diff";
import { missingKeys } from "./errors";
import type { Session } from "./session";
import { type Values, decode, encode } from "./values";

/** The calls that concern the provider itself. */

/** What Pulumi itself puts among a provider's inputs. */
const PULUMIS = ["version", "pluginDownloadURL", "pluginChecksums", "__internal", "__defaults"];
const MISSING = /^is missing: /;

/**
 * Everything wrong, but what is missing in the stack's configuration: for that Pulumi has a form of its own
 * ({@link configure}).
 */
export function checkConfig(request: CheckRequest): CheckResponse {
    const { values, secrets } = decode(request.getNews());
    const response = new CheckResponse();
    response.setInputs(encode(values, secrets));
    const stacks = isStacks(request.getUrn());
    const problems = configurationProblems(own(values)).filter(
        ({ reason }) => !stacks || !MISSING.test(reason),
    );
    for (const { property, reason } of asPulumiShows(problems, {}, stacks ? "blockhost:" : "")) {
        const failure = new CheckFailure();
        failure.setProperty(property);
        failure.setReason(reason);
        response.addFailures(failure);
    }
    return response;
}

/** A host that is reached in another way is still the same host: nothing of it is ever replaced. */
export function diffConfig(request: DiffRequest): DiffResponse {
    const before = own(decode(request.getOldInputs()).values);
    const after = own(decode(request.getNews()).values);
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    const changes = keys
        .filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]))
        .map((property) => ({ property, kind: "update", class: "none", reason: "is recorded" }) as const);
    return toDiffResponse(detailedDiff(changes, before, after, false), []);
}

/** @throws ServiceError naming every key that is missing. */
export function configure(session: Session, request: ConfigureRequest): ConfigureResponse {
    const values = own(decode(request.getArgs()).values);
    const missing = configurationProblems(values).filter(({ reason }) => MISSING.test(reason));
    if (missing.length > 0) {
        throw missingKeys(
            missing.map(({ property, reason }) => ({
                // Pulumi makes a command of it: `pulumi config set NAME <value>`.
                name: `--path 'blockhost:${property}'`,
                description: `${reason.replace(MISSING, "")} (docs/configuration.md)`,
            })),
        );
    }
    session.configure(values);
    const response = new ConfigureResponse();
    response.setAcceptsecrets(true);
    response.setAcceptresources(true);
    response.setAcceptoutputs(true);
    response.setSupportspreview(true);
    response.setSupportsAutonamingConfiguration(true);
    return response;
}

/** Whether a provider is configured by the stack: Pulumi names those `default` (`default_0_1_0`). */
function isStacks(urn: string): boolean {
    return urn === "" || /::default(_[^:]*)?$/.test(urn);
}

function own(values: Values): Values {
    return Object.fromEntries(Object.entries(values).filter(([key]) => !PULUMIS.includes(key)));
}

import { CheckFailure, type InvokeRequest, InvokeResponse } from "@pulumi/pulumi/proto/provider_pb";
import { BlockhostError } from "../../errors";
import { functions } from "../../resources/functions";
import { argumentProblems } from "../../resources/functions/types";
import { version } from "../../version";
import type { Session } from "./session";
import { type Values, decode, encode } from "./values";

const TOKEN = /^blockhost:index:([A-Za-z]+)$/;

/** Calls a function by its token. */
export function invoke(session: Session, request: InvokeRequest): Promise<InvokeResponse> {
    const token = request.getTok();
    const name = TOKEN.exec(token)?.[1] ?? "";
    const found = Object.hasOwn(functions, name) ? functions[name] : undefined;
    if (found === undefined) {
        throw new BlockhostError(
            "unsupported",
            `blockhost ${version} has no function ${JSON.stringify(token)}`,
            {
                hint: `there are ${Object.keys(functions).join(", ")}`,
            },
        );
    }
    const { values } = decode(request.getArgs());
    return session.call("", 0, async (context) => {
        const response = new InvokeResponse();
        const failures = argumentProblems(context, found, values);
        for (const { property, reason } of failures) {
            const failure = new CheckFailure();
            failure.setProperty(property);
            failure.setReason(reason);
            response.addFailures(failure);
        }
        if (failures.length === 0)
            response.setReturn(encode((await found.run(context, values)) as Values, []));
        return response;
    });
}

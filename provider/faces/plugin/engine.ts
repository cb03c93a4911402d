import * as grpc from "@grpc/grpc-js";
import { EngineClient } from "@pulumi/pulumi/proto/engine_grpc_pb";
import { LogRequest, LogSeverity } from "@pulumi/pulumi/proto/engine_pb";

/** What the user is shown, beside the resource that it concerns. */
export interface EngineLog {
    warn(message: string, urn: string): void;
    info(message: string, urn: string): void;
    /** The status line of a resource: the next one takes its place. */
    status(message: string, urn: string): void;
    /** Waits until all is told. */
    flush(): Promise<void>;
}

/** @param address of the engine; without one (started by hand), what is said goes to standard error. */
export function createEngineLog(address: string | undefined): EngineLog {
    if (address === undefined) {
        const write = (message: string) => void process.stderr.write(`${message}\n`);
        return { warn: write, info: write, status: write, flush: () => Promise.resolve() };
    }
    const client = new EngineClient(address, grpc.credentials.createInsecure());
    const pending = new Set<Promise<void>>();
    const log = (severity: LogSeverity, message: string, urn: string, ephemeral: boolean) => {
        const request = new LogRequest();
        request.setSeverity(severity);
        request.setMessage(message);
        request.setUrn(urn);
        request.setEphemeral(ephemeral);
        const told = new Promise<void>((resolve) => {
            client.log(request, () => {
                resolve();
            });
        }).finally(() => pending.delete(told));
        pending.add(told);
    };
    return {
        warn: (message, urn) => {
            log(LogSeverity.WARNING, message, urn, false);
        },
        info: (message, urn) => {
            log(LogSeverity.INFO, message, urn, false);
        },
        status: (message, urn) => {
            log(LogSeverity.INFO, message, urn, true);
        },
        async flush() {
            await Promise.all(pending);
        },
    };
}

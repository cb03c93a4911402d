import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { type PluginAttach, PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import { type IResourceProviderServer, ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import {
    GetMappingResponse,
    GetMappingsResponse,
    GetSchemaResponse,
    ProviderHandshakeResponse,
} from "@pulumi/pulumi/proto/provider_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { BlockhostError } from "../../errors";
import { packageDirectory, version } from "../../version";
import { checkConfig, configure, diffConfig } from "./configuration";
import { createEngineLog } from "./engine";
import { toServiceError } from "./errors";
import { invoke } from "./invoke";
import { list } from "./list";
import { check, create, diff, read, remove, update } from "./resources";
import { type Session } from "./session";

/** Pulumi's `ResourceProvider` service. Each call is one function; errors become gRPC statuses here and nowhere else. */
export function serviceOf(session: Session): IResourceProviderServer {
    const unsupported = (what: string) => () => {
        throw new BlockhostError("unsupported", `blockhost has no ${what}`);
    };
    return {
        handshake: unary((request) => {
            session.log = createEngineLog(request.getEngineAddress() || undefined);
            const response = new ProviderHandshakeResponse();
            response.setAcceptSecrets(true);
            response.setAcceptResources(true);
            response.setAcceptOutputs(true);
            response.setSupportsAutonamingConfiguration(true);
            return response;
        }),
        attach: unary((request: PluginAttach) => {
            session.log = createEngineLog(request.getAddress() || undefined);
            return new Empty();
        }),
        getPluginInfo: unary(() => new PluginInfo().setVersion(version)),
        getSchema: unary(() => {
            const response = new GetSchemaResponse();
            response.setSchema(readFileSync(join(packageDirectory, "schema.json"), "utf8"));
            return response;
        }),
        checkConfig: unary(checkConfig),
        diffConfig: unary(diffConfig),
        configure: unary((request) => configure(session, request)),
        check: unary((request) => check(session, request)),
        diff: unary((request) => diff(session, request)),
        create: unary((request) => create(session, request)),
        read: unary((request) => read(session, request)),
        update: unary((request) => update(session, request)),
        delete: unary(async (request) => {
            await remove(session, request);
            return new Empty();
        }),
        cancel: unary(async () => {
            await session.cancel();
            return new Empty();
        }),
        invoke: unary((request) => invoke(session, request)),
        list: (call) => void list(session, call),
        call: unary(unsupported("methods")),
        construct: unary(unsupported("components")),
        parameterize: unary(unsupported("parameters")),
        getMapping: unary(() => new GetMappingResponse()),
        getMappings: unary(() => new GetMappingsResponse()),
    };
}

type Unary<Request, Response> = grpc.handleUnaryCall<Request, Response>;

function unary<Request, Response>(
    answer: (request: Request) => Response | Promise<Response>,
): Unary<Request, Response> {
    return (call, callback) => {
        void (async () => {
            try {
                callback(null, await answer(call.request));
            } catch (error) {
                callback(toServiceError(error));
            }
        })();
    };
}

/** @returns the port, on loopback. */
export function serve(session: Session): Promise<number> {
    const server = new grpc.Server({
        "grpc.max_receive_message_length": MAX_MESSAGE,
        "grpc.max_send_message_length": MAX_MESSAGE,
    });
    server.addService(ResourceProviderService, serviceOf(session));
    return new Promise((resolve, reject) => {
        server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
            if (error === null) resolve(port);
            else reject(error);
        });
    });
}

/** Bytes; what Pulumi's own engine allows. */
const MAX_MESSAGE = 400 * 2 ** 20;

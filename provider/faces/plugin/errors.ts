import * as grpc from "@grpc/grpc-js";
import { ConfigureErrorMissingKeys, ErrorResourceInitFailed } from "@pulumi/pulumi/proto/provider_pb";
import { Status } from "@pulumi/pulumi/proto/status_pb";
import { Any } from "google-protobuf/google/protobuf/any_pb";
import type { Struct } from "google-protobuf/google/protobuf/struct_pb";
import { ERROR_TABLE, toBlockhostError } from "../../errors";

/** Errors as gRPC carries them: code and message, and for some a message of Pulumi's as details. */

export class ServiceError extends Error {
    readonly code: grpc.status;
    readonly details: string;
    readonly metadata: grpc.Metadata;

    constructor(code: grpc.status, details: string, metadata = new grpc.Metadata()) {
        super(details);
        this.name = "ServiceError";
        this.code = code;
        this.details = details;
        this.metadata = metadata;
    }
}

export function toServiceError(error: unknown): ServiceError {
    if (error instanceof ServiceError) return error;
    const failure = toBlockhostError(error);
    return new ServiceError(grpc.status[ERROR_TABLE[failure.code].grpc], failure.message);
}

/** An object that was made, but not to its end: Pulumi records it, and the next update finishes it. */
export function partialFailure(id: string, state: Struct, inputs: Struct, reason: string): ServiceError {
    const detail = new ErrorResourceInitFailed();
    detail.setId(id);
    detail.setProperties(state);
    detail.setInputs(inputs);
    detail.setReasonsList([reason]);
    return detailed(
        grpc.status.ABORTED,
        reason,
        "pulumirpc.ErrorResourceInitFailed",
        detail.serializeBinary(),
    );
}

/** Configuration that is not there, as Pulumi shows it: each key with the command that sets it. */
export function missingKeys(keys: readonly { name: string; description: string }[]): ServiceError {
    const detail = new ConfigureErrorMissingKeys();
    detail.setMissingkeysList(
        keys.map(({ name, description }) => {
            const key = new ConfigureErrorMissingKeys.MissingKey();
            key.setName(name);
            key.setDescription(description);
            return key;
        }),
    );
    const message = `missing configuration: ${keys.map(({ name }) => name).join(", ")}`;
    return detailed(
        grpc.status.INVALID_ARGUMENT,
        message,
        "pulumirpc.ConfigureErrorMissingKeys",
        detail.serializeBinary(),
    );
}

function detailed(code: grpc.status, message: string, type: string, detail: Uint8Array): ServiceError {
    const any = new Any();
    any.pack(detail, type);
    const status = new Status();
    status.setCode(code);
    status.setMessage(message);
    status.addDetails(any);
    const metadata = new grpc.Metadata();
    metadata.add("grpc-status-details-bin", Buffer.from(status.serializeBinary()));
    return new ServiceError(code, message, metadata);
}

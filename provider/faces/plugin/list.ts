import type { ServerWritableStream } from "@grpc/grpc-js";
import { type ListRequest, ListResponse } from "@pulumi/pulumi/proto/provider_pb";
import { listing } from "../../resources/listing";
import { toServiceError } from "./errors";
import { lifecycleOf } from "./resources";
import type { Session } from "./session";
import { decode } from "./values";

/** Most items of a page where the engine asks for none. */
const PAGE = 1000;

/** Lists resources of a type, a page at a time: the continuation token is the last id. */
export async function list(
    session: Session,
    call: ServerWritableStream<ListRequest, ListResponse>,
): Promise<void> {
    const { request } = call;
    try {
        const { kind } = lifecycleOf(request.getToken());
        const limit = request.getLimit() || Number.POSITIVE_INFINITY;
        const most = Math.min(request.getPageSize() || PAGE, limit);
        await session.call("", 0, async (context) => {
            const query = decode(request.getQuery()).values;
            let sent = 0;
            let last = "";
            for await (const { id, name } of listing(context, kind, query, request.getContinuationToken())) {
                if (sent === most) {
                    if (sent < limit) call.write(continuation(last));
                    break;
                }
                call.write(result(id, name));
                sent++;
                last = id;
            }
        });
        call.end();
    } catch (error) {
        call.emit("error", toServiceError(error));
    }
}

function result(id: string, name: string): ListResponse {
    const result = new ListResponse.Result();
    result.setId(id);
    result.setName(name);
    return new ListResponse().setResult(result);
}

function continuation(token: string): ListResponse {
    const more = new ListResponse.Continuation();
    more.setContinuationToken(token);
    return new ListResponse().setContinuation(more);
}

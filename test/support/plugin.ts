import * as grpc from "@grpc/grpc-js";
import * as messages from "@pulumi/pulumi/proto/provider_pb";
import { ResourceProviderClient } from "@pulumi/pulumi/proto/provider_grpc_pb";
import { Status } from "@pulumi/pulumi/proto/status_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { type JavaScriptValue, Struct } from "google-protobuf/google/protobuf/struct_pb";
import { serve } from "../../provider/faces/plugin/server";
import { Session } from "../../provider/faces/plugin/session";

type Values = Record<string, unknown>;

const SIGNATURE = "4dabf18193072939515e22adb298388d";

/** How values look on the wire. */
export const wire = {
    secret: (value: unknown) => ({ [SIGNATURE]: "1b47061264138c4ac30d75fd1eb44270", value }),
    output: (given: { value?: unknown; secret?: boolean }) => ({
        [SIGNATURE]: "d0e6a833031e9bbcd3f4e8bde6ca49a4",
        ...given,
    }),
    resource: (urn: string, id: string) => ({ [SIGNATURE]: "5cf8f73096256a8f31e491e813e4eb8e", urn, id }),
    unknown: "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
};

/** A plugin, and the engine's side of its service. Calls give plain values, secrets as on the wire. */
export class PluginClient {
    private constructor(
        private readonly client: ResourceProviderClient,
        readonly session: Session,
    ) {}

    /** @param engine the address of what it logs to; default: standard error */
    static async start(engine?: string): Promise<PluginClient> {
        const session = new Session(engine);
        const port = await serve(session);
        const address = `127.0.0.1:${String(port)}`;
        return new PluginClient(
            new ResourceProviderClient(address, grpc.credentials.createInsecure()),
            session,
        );
    }

    async stop(): Promise<void> {
        await this.session.close();
        this.client.close();
    }

    urn(kind: string, name: string): string {
        return `urn:pulumi:dev::shop::blockhost:index:${kind}::${name}`;
    }

    /** @param urn of the provider; default: the stack's */
    async checkConfig(news: Values, urn = "urn:pulumi:dev::shop::pulumi:providers:blockhost::default_0_1_0") {
        const request = new messages.CheckRequest().setUrn(urn).setNews(struct(news));
        return failures(
            await call<messages.CheckResponse>((callback) => this.client.checkConfig(request, callback)),
        );
    }

    async configure(args: Values): Promise<void> {
        const request = new messages.ConfigureRequest().setArgs(struct(args));
        await call<messages.ConfigureResponse>((callback) => this.client.configure(request, callback));
    }

    async check(
        kind: string,
        name: string,
        news: Values,
        more: { olds?: Values; autonaming?: { mode: "PROPOSE" | "ENFORCE" | "DISABLE"; name?: string } } = {},
    ) {
        const request = new messages.CheckRequest()
            .setUrn(this.urn(kind, name))
            .setOlds(struct(more.olds ?? {}))
            .setNews(struct(news));
        if (more.autonaming !== undefined) {
            const { AutonamingOptions } = messages.CheckRequest;
            const options = new AutonamingOptions();
            options.setMode(AutonamingOptions.Mode[more.autonaming.mode]);
            options.setProposedName(more.autonaming.name ?? "");
            request.setAutonaming(options);
        }
        const response = await call<messages.CheckResponse>((callback) =>
            this.client.check(request, callback),
        );
        return { inputs: values(response.getInputs()), failures: failures(response) };
    }

    async diff(
        kind: string,
        name: string,
        given: { id: string; olds: Values; oldInputs: Values; news: Values; ignore?: string[] },
    ) {
        const request = new messages.DiffRequest()
            .setId(given.id)
            .setUrn(this.urn(kind, name))
            .setOlds(struct(given.olds))
            .setOldInputs(struct(given.oldInputs))
            .setNews(struct(given.news))
            .setIgnorechangesList(given.ignore ?? []);
        const response = await call<messages.DiffResponse>((callback) => this.client.diff(request, callback));
        const kinds = Object.entries(messages.PropertyDiff.Kind);
        const detailed: Record<string, string> = {};
        response.getDetaileddiffMap().forEach((one: messages.PropertyDiff, path: string) => {
            const kindName = kinds.find(([, value]) => value === one.getKind())?.[0] ?? "?";
            detailed[path] = `${kindName}${one.getInputdiff() ? "" : " of state"}`;
        });
        return {
            changes: response.getChanges() === messages.DiffResponse.DiffChanges.DIFF_SOME,
            replaces: response.getReplacesList(),
            stables: response.getStablesList(),
            deleteBeforeReplace: response.getDeletebeforereplace(),
            detailed,
        };
    }

    async create(
        kind: string,
        name: string,
        inputs: Values,
        more: { preview?: boolean; timeout?: number } = {},
    ) {
        const request = new messages.CreateRequest()
            .setUrn(this.urn(kind, name))
            .setProperties(struct(inputs))
            .setPreview(more.preview ?? false)
            .setTimeout(more.timeout ?? 0);
        const response = await call<messages.CreateResponse>((callback) =>
            this.client.create(request, callback),
        );
        return { id: response.getId(), state: values(response.getProperties()) };
    }

    async update(
        kind: string,
        name: string,
        given: { id: string; olds: Values; news: Values; preview?: boolean; ignore?: string[] },
    ) {
        const request = new messages.UpdateRequest()
            .setId(given.id)
            .setUrn(this.urn(kind, name))
            .setOlds(struct(given.olds))
            .setNews(struct(given.news))
            .setPreview(given.preview ?? false)
            .setIgnorechangesList(given.ignore ?? []);
        return values(
            (
                await call<messages.UpdateResponse>((callback) => this.client.update(request, callback))
            ).getProperties(),
        );
    }

    async read(kind: string, name: string, id: string, state?: { olds: Values; inputs: Values }) {
        const request = new messages.ReadRequest().setId(id).setUrn(this.urn(kind, name));
        if (state !== undefined) request.setProperties(struct(state.olds)).setInputs(struct(state.inputs));
        const response = await call<messages.ReadResponse>((callback) => this.client.read(request, callback));
        return {
            id: response.getId(),
            state: values(response.getProperties()),
            inputs: values(response.getInputs()),
        };
    }

    async delete(kind: string, name: string, id: string, olds: Values): Promise<void> {
        const request = new messages.DeleteRequest()
            .setId(id)
            .setUrn(this.urn(kind, name))
            .setProperties(struct(olds));
        await call<Empty>((callback) => this.client.delete(request, callback));
    }

    async invoke(name: string, args: Values) {
        const request = new messages.InvokeRequest().setTok(`blockhost:index:${name}`).setArgs(struct(args));
        const response = await call<messages.InvokeResponse>((callback) =>
            this.client.invoke(request, callback),
        );
        return { result: values(response.getReturn()), failures: failures(response) };
    }

    /** One page. */
    list(kind: string, query: Values = {}, page: { size?: number; limit?: number; after?: string } = {}) {
        const request = new messages.ListRequest()
            .setToken(`blockhost:index:${kind}`)
            .setQuery(struct(query))
            .setPageSize(page.size ?? 0)
            .setLimit(page.limit ?? 0)
            .setContinuationToken(page.after ?? "");
        return new Promise<{ ids: string[]; next: string }>((resolve, reject) => {
            const ids: string[] = [];
            let next = "";
            const stream = this.client.list(request);
            stream.on("data", (response: messages.ListResponse) => {
                const result = response.getResult();
                if (result !== undefined) ids.push(result.getId());
                next = response.getContinuation()?.getContinuationToken() ?? next;
            });
            stream.on("end", () => {
                resolve({ ids, next });
            });
            stream.on("error", reject);
        });
    }

    async cancel(): Promise<void> {
        await call<Empty>((callback) => this.client.cancel(new Empty(), callback));
    }

    async schema(): Promise<Values> {
        const response = await call<messages.GetSchemaResponse>((callback) =>
            this.client.getSchema(new messages.GetSchemaRequest(), callback),
        );
        return JSON.parse(response.getSchema()) as Values;
    }
}

/** What an error of a call carries as details, by the type of the message. */
export function detailOf(error: unknown): { type: string; bytes: Uint8Array } | undefined {
    const [packed] = (error as grpc.ServiceError).metadata.get("grpc-status-details-bin");
    if (packed === undefined) return undefined;
    const [any] = Status.deserializeBinary(packed as Buffer).getDetailsList();
    return any === undefined ? undefined : { type: any.getTypeName(), bytes: any.getValue_asU8() };
}

export function values(of: Struct | undefined): Values {
    return of?.toJavaScript() ?? {};
}

function struct(of: Values): Struct {
    return Struct.fromJavaScript(JSON.parse(JSON.stringify(of)) as Record<string, JavaScriptValue>);
}

function failures(response: { getFailuresList(): messages.CheckFailure[] }) {
    return response
        .getFailuresList()
        .map((failure) => ({ property: failure.getProperty(), reason: failure.getReason() }));
}

function call<Response>(
    run: (callback: (error: grpc.ServiceError | null, response: Response) => void) => unknown,
): Promise<Response> {
    return new Promise((resolve, reject) => {
        run((error, response) => {
            if (error === null) resolve(response);
            else reject(error);
        });
    });
}

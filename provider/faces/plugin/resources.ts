import {
    CheckFailure,
    CheckRequest,
    CheckResponse,
    type CreateRequest,
    CreateResponse,
    type DeleteRequest,
    type DiffRequest,
    type DiffResponse,
    type ReadRequest,
    ReadResponse,
    type UpdateRequest,
    UpdateResponse,
} from "@pulumi/pulumi/proto/provider_pb";
import { BlockhostError } from "../../errors";
import { version } from "../../version";
import { lifecycles } from "../../resources";
import { IncompleteCreation } from "../../resources/creation";
import { TAKING_OVER } from "../../resources/changes";
import { ignoring } from "../../resources/ignore";
import type { Change, Context, Lifecycle } from "../../resources/types";
import { hasUnknown } from "../../validate";
import { asPulumiShows } from "../failures";
import { parseUrn } from "../urn";
import { detailedDiff, toDiffResponse } from "./diff";
import { partialFailure } from "./errors";
import type { Session } from "./session";
import { type Path, type Values, decode, encode } from "./values";

/**
 * The calls that concern one resource, turned into those of its lifecycle. Inputs on the wire are those of the schema;
 * who declares a resource (`owner`) follows from its URN, goes to the lifecycle with the inputs, and is recorded with
 * the outputs.
 */

const TOKEN = /^blockhost:index:([A-Za-z]+)$/;

/** @throws BlockhostError `unsupported`: no such resource in this version. */
export function lifecycleOf(type: string): Lifecycle {
    const kind = TOKEN.exec(type)?.[1] ?? "";
    const found = Object.hasOwn(lifecycles, kind) ? lifecycles[kind] : undefined;
    if (found !== undefined) return found;
    const known = Object.keys(lifecycles).map((name) => `blockhost:index:${name}`);
    throw new BlockhostError(
        "unsupported",
        `blockhost ${version} has no resource type ${JSON.stringify(type)}`,
        {
            hint: `there are ${known.join(", ")}; if the program was written for another version, use the plugin of that version`,
        },
    );
}

export function check(session: Session, request: CheckRequest): Promise<CheckResponse> {
    const urn = request.getUrn();
    const lifecycle = lifecycleOf(parseUrn(urn).type);
    session.declared.add(urn);
    const olds = decode(request.getOlds()).values;
    const { values, secrets } = decode(request.getNews());
    const news = session.withInlineHost(values);
    const response = new CheckResponse();
    const naming = request.getAutonaming();
    const unnamed = news["name"] === undefined && olds["name"] === undefined;
    const { PROPOSE, ENFORCE, DISABLE } = CheckRequest.AutonamingOptions.Mode;
    if (unnamed && (naming?.getMode() === PROPOSE || naming?.getMode() === ENFORCE)) {
        news["name"] = naming.getProposedName();
    }
    if (unnamed && naming?.getMode() === DISABLE) {
        const reason =
            "is missing: automatic naming is turned off in the stack's configuration (pulumi:autonaming)";
        response.addFailures(failureOf({ property: "name", reason }));
    }
    return session.call(urn, 0, async (context) => {
        // A stack that comes from the dynamic face has inputs of that face's own.
        const { owner: before, kind: _kind, __provider, ...own } = olds;
        const owner = session.owner(urn, { owner: before });
        const old = Object.keys(own).length === 0 ? undefined : { ...own, owner };
        const checked = await lifecycle.check(context, old, { ...news, owner });
        const { owner: _owner, ...inputs } = checked.inputs;
        response.setInputs(
            encode({ ...inputs, ...carried(__provider) }, [...secrets, ...secretInputs(lifecycle)]),
        );
        if (news["owner"] !== undefined) {
            response.addFailures(failureOf({ property: "owner", reason: "there is no such property" }));
        }
        for (const failure of asPulumiShows(checked.failures, news)) response.addFailures(failureOf(failure));
        return response;
    });
}

export function diff(session: Session, request: DiffRequest): Promise<DiffResponse> {
    const urn = request.getUrn();
    const lifecycle = lifecycleOf(parseUrn(urn).type);
    const olds = ownState(decode(request.getOlds()).values);
    const before = ownInputs(decode(request.getOldInputs()).values);
    const after = ownInputs(decode(request.getNews()).values);
    const ignored = request.getIgnorechangesList();
    return session.call(urn, 0, async (context) => {
        const news = ignoring({ ...after, owner: session.owner(urn, olds) }, olds, ignored);
        let changes: readonly Change[];
        try {
            changes = await lifecycle.diff(context, olds, news);
        } catch (error) {
            // A refresh only asks what differs. Nothing is going to be changed, so there is nothing to refuse.
            if (session.declared.has(urn) || !(error instanceof BlockhostError)) throw error;
            changes = refused(error);
        }
        // Nothing is taken over by a refresh, and what was imported is on the host as it was.
        if (!session.declared.has(urn)) changes = changes.filter((change) => change !== TAKING_OVER);
        const relevant = changes.filter(({ property }) => !ignored.includes(property));
        const differences = detailedDiff(relevant, before, after, hasUnknown(after));
        // Of what is not among the inputs Pulumi shows only what is recorded, and not what comes of it.
        const hidden = differences.filter(({ input }) => !input && session.declared.has(urn));
        for (const { path } of hidden) {
            const why = relevant.find(({ property }) => property === path)?.reason ?? "";
            session.log.info(`${lifecycle.kind} "${parseUrn(urn).name}", ${path}: ${why}`, urn);
        }
        return toDiffResponse(differences, lifecycle.stable ?? []);
    });
}

export function create(session: Session, request: CreateRequest): Promise<CreateResponse> {
    const urn = request.getUrn();
    const lifecycle = lifecycleOf(parseUrn(urn).type);
    const { values: inputs, secrets } = decode(request.getProperties());
    const sealed = [...secrets, ...secretInputs(lifecycle)];
    return session.call(urn, request.getTimeout(), async (context) => {
        const args = { ...ownInputs(inputs), owner: session.owner(urn) };
        const response = new CreateResponse();
        if (request.getPreview()) {
            const state = (await lifecycle.preview?.(context, args, undefined)) ?? args;
            response.setProperties(encode(recorded(state, inputs), sealed));
            return response;
        }
        const { id, state } = await finishing(sealed, inputs, () => lifecycle.create(context, args));
        response.setId(id);
        response.setProperties(encode(recorded(state, inputs), sealed));
        return response;
    });
}

export function read(session: Session, request: ReadRequest): Promise<ReadResponse> {
    const urn = request.getUrn();
    const lifecycle = lifecycleOf(parseUrn(urn).type);
    const { values: olds, secrets } = decode(request.getProperties());
    const inputs = decode(request.getInputs());
    const sealed = [...secrets, ...inputs.secrets, ...secretInputs(lifecycle)];
    return session.call(urn, request.getTimeout(), async (context) => {
        const response = new ReadResponse();
        if (olds["generation"] === undefined) {
            const found = await imported(lifecycle, context, session, request);
            if (found === undefined) return response;
            response.setId(found.id);
            response.setInputs(encode(found.inputs, sealed));
            response.setProperties(encode(recorded(found.state, {}), sealed));
            return response;
        }
        const found = await lifecycle.read(context, ownState(olds));
        // Without an id, it is gone.
        if (found === undefined) return response;
        response.setId(found.id);
        response.setInputs(encode(inputs.values, sealed));
        response.setProperties(encode(recorded(found.state, olds), sealed));
        return response;
    });
}

export function update(session: Session, request: UpdateRequest): Promise<UpdateResponse> {
    const urn = request.getUrn();
    const lifecycle = lifecycleOf(parseUrn(urn).type);
    const olds = ownState(decode(request.getOlds()).values);
    const { values: inputs, secrets } = decode(request.getNews());
    const sealed = [...secrets, ...secretInputs(lifecycle)];
    return session.call(urn, request.getTimeout(), async (context) => {
        const args = { ...ownInputs(inputs), owner: session.owner(urn, olds) };
        const news = ignoring(args, olds, request.getIgnorechangesList());
        const state = request.getPreview()
            ? ((await lifecycle.preview?.(context, news, olds)) ?? { ...olds, ...news })
            : await lifecycle.update(context, olds, news);
        const response = new UpdateResponse();
        response.setProperties(encode(recorded(state, inputs), sealed));
        return response;
    });
}

export function remove(session: Session, request: DeleteRequest): Promise<void> {
    const urn = request.getUrn();
    const lifecycle = lifecycleOf(parseUrn(urn).type);
    const state = ownState(decode(request.getProperties()).values);
    return session.call(urn, request.getTimeout(), (context) => lifecycle.delete(context, state));
}

function imported(lifecycle: Lifecycle, context: Context, session: Session, request: ReadRequest) {
    if (lifecycle.import === undefined) {
        throw new BlockhostError("unsupported", `a ${lifecycle.kind} cannot be imported`);
    }
    const owner = { installation: session.installation, ...session.owner(request.getUrn()) };
    const given = { ...decode(request.getProperties()).values, ...decode(request.getInputs()).values };
    return lifecycle.import(context, request.getId(), owner, given);
}

/** What a refused change would have changed, for a refresh, which only asks. */
function refused(error: BlockhostError): Change[] {
    return (error.details.properties ?? ["drift"]).map((property) => ({
        property,
        kind: "update",
        class: "none",
        reason: error.summary,
    }));
}

/** An object that was begun is recorded, so that nothing is forgotten: the next update finishes it, a delete takes it off. */
async function finishing<T>(sealed: readonly Path[], inputs: Values, what: () => Promise<T>): Promise<T> {
    try {
        return await what();
    } catch (error) {
        if (!(error instanceof IncompleteCreation)) throw error;
        const state = encode(recorded(error.state, inputs), sealed);
        throw partialFailure(error.id, state, encode(inputs, sealed), error.message);
    }
}

function secretInputs(lifecycle: Lifecycle): Path[] {
    return lifecycle.secretOutputs.map((property) => [property]);
}

/** Inputs as a lifecycle knows them. */
function ownInputs({ __provider, kind: _kind, owner: _owner, ...own }: Values): Values {
    return own;
}

function ownState({ __provider, kind: _kind, ...own }: Values): Values {
    return own;
}

/** What the dynamic face keeps in state stays there, so that a stack can go back to it. */
function carried(provider: unknown): Values {
    return provider === undefined ? {} : { __provider: provider };
}

function recorded(state: unknown, { __provider }: Values): Values {
    return { ...(state as Values), ...carried(__provider) };
}

function failureOf({ property, reason }: { property: string; reason: string }): CheckFailure {
    const failure = new CheckFailure();
    failure.setProperty(property);
    failure.setReason(reason);
    return failure;
}

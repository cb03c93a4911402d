import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { beforeAll, expect, test } from "vitest";
import { checkout } from "../../../tools/paths.mjs";
import * as sdk from "../../../sdk/nodejs";

/** Classes of the dynamic face have what the plugin's schema has. */

type Properties = Readonly<Record<string, unknown>>;
interface Schema {
    readonly resources: Readonly<Record<string, { properties: Properties; inputProperties: Properties }>>;
}

beforeAll(() =>
    pulumi.runtime.setMocks({
        newResource: ({ name, inputs }) => ({ id: name, state: inputs as object }),
        call: () => ({}),
    }),
);

const { resources } = JSON.parse(readFileSync(join(checkout, "schema.json"), "utf8")) as Schema;

test.each(Object.entries(resources))("%s", (type, { properties, inputProperties }) => {
    const kind = type.split(":")[2] as "Volume";
    const one = new sdk[kind]("one", { host: "san1", pool: "fast", size: "1GiB", initiators: [] } as never);
    const outputs = Object.keys(properties).filter((name) => !(name in inputProperties));
    expect(outputs.filter((name) => !(name in one))).toEqual([]);
});

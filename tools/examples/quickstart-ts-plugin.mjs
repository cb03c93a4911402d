// @ts-check
export * from "./quickstart-yaml.mjs";

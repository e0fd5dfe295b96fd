import { decodeValue } from "../../state/encoding.ts";
import type { State } from "../../state/state.ts";
import type { App } from "../app.ts";
import { accountOf, allow } from "../auth.ts";
import { pageLimit, pageQuerySchema, type PageQuery } from "../page.ts";
import {
  toCreatedNamespace,
  toDeletedNamespace,
  toDeletedValue,
  toKeys,
  toNamespaces,
  toObjects,
  toStored,
  toValue,
} from "./state-answers.ts";
import * as schemas from "./state-schemas.ts";

const tags = ["state"];
const reading = allow("admin", "data_plane", "account", "read_only");
const writing = allow("admin", "data_plane", "account");

const NAMESPACES = "/v1/services/:service/state/namespaces";
const NAMESPACE = `${NAMESPACES}/:namespace`;
const OBJECTS = `${NAMESPACE}/objects`;
const KEYS = `${OBJECTS}/:object/keys`;
const VALUE = `${OBJECTS}/:object/values/:key`;

/** 2 MiB of control characters, escaped as \u0000, are 12.6 MB of JSON; how large a value may be is the gate's to say. */
const VALUE_BODY_BYTES_MAX = 16 * 1024 * 1024;

/** The reference data plane. Every call is metered; a denied one answers 429 (413 for a payload too large) and changes nothing. */
export function stateRoutes(app: App, { state }: { state: State }): void {
  namespaceRoutes(app, state);
  listRoutes(app, state);
  valueRoutes(app, state);
}

const pageOf = (query: PageQuery) => ({ limit: pageLimit(query), cursor: query.cursor });

function namespaceRoutes(app: App, state: State): void {
  app.route({
    method: "GET",
    url: NAMESPACES,
    ...reading,
    schema: {
      tags,
      summary: "List a service's namespaces, newest first",
      params: schemas.serviceParams,
      querystring: pageQuerySchema,
      response: { 200: schemas.namespacesAnswer },
    },
    handler: async (request) => toNamespaces(await state.listNamespaces(accountOf(request), request.params.service, pageOf(request.query))),
  });

  app.route({
    method: "POST",
    url: NAMESPACES,
    ...writing,
    schema: {
      tags,
      summary: "Create a namespace; its secret is shown once",
      description: "The secret signs the calls of its objects' alarms, as a webhook's does: see the route that sets an alarm.",
      params: schemas.serviceParams,
      body: schemas.namespaceBody,
      response: { 201: schemas.namespaceCreatedAnswer },
    },
    handler: async (request, reply) => {
      const created = await state.createNamespace(accountOf(request), request.params.service, request.body.name);
      return reply.code(201).send(toCreatedNamespace(created));
    },
  });

  app.route({
    method: "DELETE",
    url: NAMESPACE,
    ...writing,
    schema: {
      tags,
      summary: "Delete a namespace with all its objects",
      params: schemas.namespaceParams,
      response: { 200: schemas.namespaceDeletedAnswer },
    },
    handler: async (request) => toDeletedNamespace(await state.deleteNamespace({ account: accountOf(request), ...request.params })),
  });
}

function listRoutes(app: App, state: State): void {
  app.route({
    method: "GET",
    url: OBJECTS,
    ...reading,
    schema: {
      tags,
      summary: "List a namespace's objects by name",
      params: schemas.namespaceParams,
      querystring: pageQuerySchema,
      response: { 200: schemas.objectsAnswer },
    },
    handler: async (request) =>
      toObjects(await state.listObjects({ account: accountOf(request), ...request.params }, pageOf(request.query))),
  });

  app.route({
    method: "GET",
    url: KEYS,
    ...reading,
    schema: {
      tags,
      summary: "List an object's keys",
      params: schemas.objectParams,
      querystring: pageQuerySchema,
      response: { 200: schemas.keysAnswer },
    },
    handler: async (request) => toKeys(await state.listKeys({ account: accountOf(request), ...request.params }, pageOf(request.query))),
  });
}

function valueRoutes(app: App, state: State): void {
  app.route({
    method: "GET",
    url: VALUE,
    ...reading,
    schema: { tags, summary: "Read a value", params: schemas.valueParams, response: { 200: schemas.valueAnswer } },
    handler: async (request) => {
      const { key, ...object } = request.params;
      return toValue(await state.get({ account: accountOf(request), ...object }, key));
    },
  });

  app.route({
    method: "PUT",
    url: VALUE,
    ...writing,
    bodyLimit: VALUE_BODY_BYTES_MAX,
    schema: {
      tags,
      summary: "Write a value",
      params: schemas.valueParams,
      body: schemas.valueBody,
      response: { 200: schemas.storedAnswer },
    },
    handler: async (request) => {
      const { key, ...object } = request.params;
      const value = decodeValue(request.body.value, request.body.encoding);
      return toStored(await state.put({ account: accountOf(request), ...object }, key, value));
    },
  });

  app.route({
    method: "DELETE",
    url: VALUE,
    ...writing,
    schema: { tags, summary: "Delete a value", params: schemas.valueParams, response: { 200: schemas.valueDeletedAnswer } },
    handler: async (request) => {
      const { key, ...object } = request.params;
      return toDeletedValue(await state.delete({ account: accountOf(request), ...object }, key), key);
    },
  });
}

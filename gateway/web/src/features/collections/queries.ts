/** What the pages of collections ask for. */

import { queryOptions } from "@tanstack/react-query";
import { Collection_State, Grant_Role, type Collection } from "@semantik/client";
import { semantik } from "../../app/semantik.ts";

const BUSY_MS = 2_000;
const CALM_MS = 15_000;

export const collections = queryOptions({
  queryKey: ["collections"],
  queryFn: async ({ signal }) => (await semantik.collections.listCollections({ pageSize: 1000 }, { signal })).collections,
  refetchInterval: ({ state }) => (state.data?.some(isBusy) ? BUSY_MS : CALM_MS),
});

export const collection = (collectionId: string) =>
  queryOptions({
    queryKey: ["collections", collectionId],
    queryFn: async ({ signal }) => (await semantik.collections.getCollection({ collectionId }, { signal })).collection,
    refetchInterval: ({ state }) => (state.data && isBusy(state.data) ? BUSY_MS : CALM_MS),
  });

export const isBusy = (each: Collection): boolean => each.state === Collection_State.PROCESSING || each.state === Collection_State.DELETING;

export const mayWrite = (each: Collection): boolean => each.role >= Grant_Role.WRITE;

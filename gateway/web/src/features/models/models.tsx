/** The models that are installed. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Model_Kind, Model_Precision, Model_State, User_Role, type Model } from "@semantik/client";
import { size } from "../../app/format.ts";
import { semantik } from "../../app/semantik.ts";
import { Badge, Button, Failure, Meter, Skeleton, type Tone } from "../../design/index.tsx";

const text = {
  models: "Models",
  memory: "Memory for models",
  load: "Load",
  unload: "Unload",
  isDefault: "default",
  embedding: "embeds",
  reranker: "reranks",
  dimensions: "dimensions",
  tokens: "tokens",
};

const STATES: Record<Model_State, [Tone, string]> = {
  [Model_State.UNSPECIFIED]: ["calm", "unknown"],
  [Model_State.ON_DISK]: ["calm", "on disk"],
  [Model_State.LOADED]: ["good", "loaded"],
  [Model_State.FAILED]: ["bad", "failed"],
  [Model_State.LOADING]: ["busy", "loading"],
};

export function Models() {
  const queries = useQueryClient();
  const list = useQuery({ queryKey: ["models"], queryFn: () => semantik.models.listModels({}), refetchInterval: 5_000 });
  const me = useQuery({ queryKey: ["me"], queryFn: () => semantik.users.getMe({}), staleTime: 60_000 });
  const change = useMutation({
    mutationFn: async (model: Model) => {
      if (model.state === Model_State.LOADED) await semantik.models.unloadModel({ modelId: model.id });
      else await semantik.models.loadModel({ modelId: model.id });
    },
    onSettled: () => queries.invalidateQueries({ queryKey: ["models"] }),
  });
  const isAdministrator = me.data?.user?.role === User_Role.ADMIN;
  const used = Number(list.data?.memoryBytes ?? 0);
  const budget = Number(list.data?.memoryBudgetBytes ?? 0);
  return (
    <div className="stack">
      <h1>{text.models}</h1>
      {list.error && <Failure error={list.error} retry={() => void list.refetch()} />}
      {list.isPending && <Skeleton lines={4} />}
      {budget > 0 && (
        <div className="card stack-small">
          <div className="spread">
            <span>{text.memory}</span>
            <span className="muted number">
              {size(used)} / {size(budget)}
            </span>
          </div>
          <Meter value={used / budget} label={text.memory} />
        </div>
      )}
      <ul className="stack-small">
        {list.data?.models.map((model) => {
          const [tone, state] = STATES[model.state];
          return (
            <li key={model.id} className="card spread">
              <div>
                <div className="row">
                  <strong>{model.id}</strong>
                  <Badge tone={tone}>{state}</Badge>
                  {model.isDefault && <Badge>{text.isDefault}</Badge>}
                </div>
                <div className="muted small">
                  {model.kind === Model_Kind.RERANKER ? text.reranker : text.embedding} · {model.dimension} {text.dimensions} · {model.maxLength} {text.tokens} ·{" "}
                  {model.precisions.map((each) => Model_Precision[each]).join(", ")} · {size(model.sizeBytes)} {model.license && `· ${model.license}`}{" "}
                  {model.stateReason && `· ${model.stateReason}`}
                </div>
              </div>
              {isAdministrator && (
                <Button disabled={change.isPending || model.state === Model_State.LOADING} onClick={() => change.mutate(model)}>
                  {model.state === Model_State.LOADED ? text.unload : text.load}
                </Button>
              )}
            </li>
          );
        })}
      </ul>
    </div>
  );
}

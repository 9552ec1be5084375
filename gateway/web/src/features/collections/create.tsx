/** The dialog that makes a collection. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useId, type FormEvent } from "react";
import { Model_Kind, semantikError } from "@semantik/client";
import { written } from "../../app/form.ts";
import { semantik } from "../../app/semantik.ts";
import { Button, Dialog, Failure, Field } from "../../design/index.tsx";
import { text as common } from "../../messages/app.ts";
import { text } from "./messages.ts";

export function CreateCollection({ open, onClose }: { open: boolean; onClose: () => void }) {
  const navigate = useNavigate();
  const queries = useQueryClient();
  const select = useId();
  const models = useQuery({ queryKey: ["models"], queryFn: () => semantik.models.listModels({}), enabled: open });
  const create = useMutation({
    mutationFn: (values: { name: string; description: string; isPublic: boolean; model: string }) => semantik.collections.createCollection(values),
    onError: () => undefined,
    onSuccess: ({ collection }) => {
      void queries.invalidateQueries({ queryKey: ["collections"] });
      onClose();
      if (collection) void navigate({ to: "/collections/$collectionId", params: { collectionId: collection.id } });
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const values = new FormData(event.currentTarget);
    create.mutate({
      name: written(values, "name"),
      description: written(values, "description"),
      isPublic: values.has("public"),
      model: written(values, "model"),
    });
  };
  const usable = models.data?.models.filter((model) => model.kind === Model_Kind.EMBEDDING) ?? [];
  const fields = create.error ? semantikError(create.error).fields : {};
  return (
    <Dialog title={text.create} open={open} onClose={onClose}>
      <form className="stack" onSubmit={submit}>
        <p className="muted">{text.createHint}</p>
        {create.error && <Failure error={create.error} />}
        <Field label={text.name} name="name" required maxLength={200} autoFocus autoComplete="off" wrong={fields.name} />
        <Field label={text.description} name="description" maxLength={1000} autoComplete="off" wrong={fields.description} />
        {usable.length > 1 && (
          <div className="field">
            <label htmlFor={select}>{text.model}</label>
            <select id={select} name="model" defaultValue={usable.find((model) => model.isDefault)?.id}>
              {usable.map((model) => (
                <option key={model.id}>{model.id}</option>
              ))}
            </select>
          </div>
        )}
        <label className="check">
          <input type="checkbox" name="public" /> {text.isPublic}
        </label>
        <div className="row">
          <Button type="submit" tone="primary" disabled={create.isPending}>
            {text.create}
          </Button>
          <Button tone="plain" onClick={onClose}>
            {common.cancel}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

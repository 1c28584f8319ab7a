from django import forms
from django.shortcuts import redirect, render

from .models import Note


class NoteForm(forms.ModelForm):
    class Meta:
        model = Note
        fields = "title", "text", "tags"


def index(request):
    notes = Note.objects.prefetch_related("tags")
    if tag := request.GET.get("tag"):
        notes = notes.filter(tags__name=tag)
    return render(request, "notes/index.html", {"notes": notes})


def add(request):
    form = NoteForm(request.POST or None)
    if form.is_valid():
        form.save()
        return redirect("index")
    return render(request, "notes/add.html", {"form": form})

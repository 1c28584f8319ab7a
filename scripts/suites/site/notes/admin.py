from django.contrib import admin

from .models import Note, Tag


@admin.register(Note)
class NoteAdmin(admin.ModelAdmin):
    list_display = "title", "written"
    search_fields = "title", "text"


admin.site.register(Tag)
